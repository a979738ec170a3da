/* Objects with compressed sections (cc -gz, ld --compress-debug-sections): a path may be in them
 * that no search for its bytes finds. */
#ifndef DRAY_CLIENT_SCRIPT_PACKED_H
#define DRAY_CLIENT_SCRIPT_PACKED_H

/* Whether the file is an ELF file, of any machine, or an archive with one in it, that has such a
 * section. 1, 0, also for what is neither, or -errno. */
int packed_file(const char *path);

#endif
