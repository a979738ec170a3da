/* What a dynamic ELF file needs and contains. */
#ifndef DRAY_TOOLCHAIN_ELF_H
#define DRAY_TOOLCHAIN_ELF_H

#include "common/strv.h"

/* The names of the shared libraries that the file at path asks for (DT_NEEDED), in its order; none
 * for a static program. *ret_machine is its e_machine. Adds to *ret. 0 or -errno; -ENOEXEC: no ELF
 * file of this machine's word size and byte order; -EBADMSG: malformed. */
int elf_needed(const char *path, unsigned *ret_machine, struct strv *ret);

/* Whether a name in the file's dynamic string table (such as that of a symbol from another file) is
 * this one or ends with it. 1; 0, also for a static program; or as above. */
int elf_has_dynamic_name(const char *path, const char *name);
/* Whether one of them contains this. */
int elf_has_dynamic_part(const char *path, const char *part);

/* Whether it has a section of this name: 1, 0, or as above. */
int elf_has_section(const char *path, const char *name);

#endif
