/* Ids of units, from the names of their outputs. */
#include "config.h"

#include <errno.h>

#include "common/fs.h"
#include "common/log/unit_id.h"

#define ID_DIGITS 8
#define HASH_DIGITS 16 /* of a directory (layout.h) */

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

void
unit_id(const char *stem, size_t n, char ret[UNIT_ID_SIZE])
{
	const char *dash = memrchr(stem, '-', n);
	size_t digits = 0, at = dash ? (size_t)(dash + 1 - stem) : n;

	while (digits < ID_DIGITS && at + digits < n && is_hex(stem[at + digits]))
		digits++;
	if (digits == ID_DIGITS) {
		stem += at;
		n = ID_DIGITS;
	}
	n = MIN2(n, (size_t)UNIT_ID_SIZE - 1);
	for (size_t i = 0; i < n; i++)
		ret[i] = (char)(stem[i] == ' ' ? '_' : stem[i]);
	ret[n] = '\0';
}

void
unit_id_of_path(const char *path, char ret[UNIT_ID_SIZE])
{
	const char *name = path_basename(path), *dot;

	if (starts_with(name, "lib"))
		name += strlen("lib");
	dot = strrchr(name, '.');
	unit_id(name, dot ? (size_t)(dot - name) : strlen(name), ret);
}

void
unit_id_of_place(const char *path, char ret[UNIT_ID_SIZE])
{
	const char *end = path + strlen(path);

	*ret = '\0';
	/* PKG-HASH/out, PKG-HASH/build-script-build, PKG/HASH/out/build-script-build */
	for (int up = 0; up < 3 && end; up++) {
		const char *slash = memrchr(path, '/', (size_t)(end - path));
		const char *name = slash ? slash + 1 : path;
		size_t n = 0;

		while (n < HASH_DIGITS && n < (size_t)(end - name) && is_hex(end[-1 - (long)n]))
			n++;
		if (n == HASH_DIGITS && (end - n == name || end[-1 - (long)n] == '-')) {
			memcpy(ret, end - n, ID_DIGITS);
			ret[ID_DIGITS] = '\0';
			return;
		}
		end = slash;
	}
}

int
unit_id_list_add(struct buf *list, const char *id)
{
	size_t n = strlen(id);
	int r;

	/* a crate's rlib and rmeta may both be given */
	if (list->n >= n && memcmp(list->p + list->n - n, id, n) == 0 &&
		(list->n == n || list->p[list->n - n - 1] == ' '))
		return 0;
	if (list->n + n + 1 > UNIT_ID_LIST_MAX)
		return -E2BIG;
	r = list->n ? buf_adds(list, " ") : 0;
	return r < 0 ? r : buf_adds(list, id);
}
