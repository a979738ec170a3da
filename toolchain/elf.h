/* What a dynamic ELF file needs and contains. */
#ifndef DRAY_TOOLCHAIN_ELF_H
#define DRAY_TOOLCHAIN_ELF_H

#include "common/strv.h"

/* The names of the shared libraries that the file at path asks for (DT_NEEDED), in its order; none
 * for a static program. *ret_machine is its e_machine. Adds to *ret. 0 or -errno; -ENOEXEC: no ELF
 * file of this machine's word size and byte order; -EBADMSG: malformed. */
int elf_needed(const char *path, unsigned *ret_machine, struct strv *ret);

/* Whether a relocation of the file names a symbol whose name is this one or ends with it: its code
 * or data refer to that symbol. A linker such as mold also lists symbols that nothing refers to any
 * more; they do not count. 1; 0, also for a static program; or as above. */
int elf_uses_symbol(const char *path, const char *name);
/* Whether a name in the file's dynamic string table contains this. 1, 0, or as above. */
int elf_has_dynamic_part(const char *path, const char *part);

/* Whether it has a section of this name: 1, 0, or as above. */
int elf_has_section(const char *path, const char *name);

/* Directories of variants for one processor, which the loader looks for in each directory that it
 * searches (glibc's elf/dl-hwcaps.c; until 2.37 by other names, in dl-load.c). Ends with NULL. */
extern const char *const elf_variants[];
/* Whether this name, of n bytes, is one of them. */
bool elf_is_variant(const char *name, size_t n);

#endif
