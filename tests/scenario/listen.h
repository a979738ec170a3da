/* What the scenarios' peers listen on. */
#ifndef DRAY_TESTS_LISTEN_H
#define DRAY_TESTS_LISTEN_H

/* A listening socket on a free loopback port, whose number is printed as a line of its own. Or
 * -errno. */
int listen_on_loopback(void);

#endif
