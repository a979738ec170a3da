/* Whether users may make user namespaces, without which bubblewrap runs only as root. */
#ifndef DRAY_CLIENT_CMD_USERNS_H
#define DRAY_CLIENT_CMD_USERNS_H

/* What forbids it, and what to do, by what the kernel says below root ("": of this machine; tests
 * have another). NULL: nothing that is known. */
const char *userns_ban(const char *root);

#endif
