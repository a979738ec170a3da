#include "config.h"

#include "memo/memo_files.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/digest.h"
#include "common/fs.h"
#include "memo/lmdb_file.h"

#define FILE_MAX (5u << 20) /* a memo's values are at most 4 MiB */

/* The digest of this boot, the kind and the key: device numbers in records hold for one boot. */
static int
name_record(const struct memo_record *rec, struct digest *ret)
{
	_cleanup_(hasher_freep) struct hasher *h = hasher_new();
	char boot[LMDB_BOOT_ID_SIZE];

	if (!h)
		return -ENOMEM;
	(void)lmdb_boot_id(boot);
	hasher_field(h, boot, sizeof(boot));
	hasher_field(h, &rec->db, 1);
	hasher_field(h, rec->key, rec->key_n);
	hasher_final(h, ret);
	return 0;
}

static char *
path_of(const char *dir, const struct digest *name)
{
	char *path;

	if (asprintf(&path, "%s/memo.d/%02x%02x", dir, name->b[0], name->b[1]) < 0)
		return NULL;
	return path;
}

/* The file: the record's name, the digest of the value, the value. */
int
memo_files_put(const char *dir, const struct memo_record *rec, const void *value, size_t n)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *path = NULL;
	struct digest name, d;
	int r = name_record(rec, &name);

	if (r == 0)
		r = digest_bytes(value, n, &d);
	if (r == 0)
		r = buf_add(&b, name.b, DIGEST_SIZE);
	if (r == 0)
		r = buf_add(&b, d.b, DIGEST_SIZE);
	if (r == 0)
		r = buf_add(&b, value, n);
	if (r < 0)
		return r;
	path = path_of(dir, &name);
	if (!path)
		return -ENOMEM;
	r = fs_mkdir_parent(path, 0700);
	return r < 0 ? r : fs_write_atomic(path, b.p, b.n, 0600);
}

int
memo_files_get(const char *dir, const struct memo_record *rec, struct buf *ret)
{
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	_cleanup_(freep) char *path = NULL;
	struct digest name, d;
	int r = name_record(rec, &name);

	if (r < 0)
		return r;
	path = path_of(dir, &name);
	if (!path)
		return -ENOMEM;
	r = fs_read_file(path, FILE_MAX, &b);
	if (r < 0)
		return r == -ENOMEM ? r : -ENOENT;
	if (b.n < 2 * DIGEST_SIZE || memcmp(b.p, name.b, DIGEST_SIZE) != 0)
		return -ENOENT;
	r = digest_bytes(b.p + 2 * DIGEST_SIZE, b.n - 2 * DIGEST_SIZE, &d);
	if (r < 0 || memcmp(b.p + DIGEST_SIZE, d.b, DIGEST_SIZE) != 0)
		return r < 0 ? r : -ENOENT;
	return b.n == 2 * DIGEST_SIZE ? 0
				      : buf_add(ret, b.p + 2 * DIGEST_SIZE, b.n - 2 * DIGEST_SIZE);
}
