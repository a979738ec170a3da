/* Files whose times are an image's: what is remembered of them is remembered of their mount. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "common/fs.h"
#include "memo/memo.h"

static char *dir, *file;

/* Not NULL: both times that any file has, as in an image of a file system. */
static const struct timespec *image;
/* Then the number of its mount, and the kind of the file system. */
static uint64_t mount_id;
static unsigned long mount_type;

static int
with_image_times(int r, struct stat *st)
{
	if (r == 0 && image)
		st->st_mtim = st->st_ctim = *image;
	return r;
}

/* In front of libc's, for memo.c and image.c. */
int
stat(const char *restrict path, struct stat *restrict st)
{
	return with_image_times(fstatat(AT_FDCWD, path, st, 0), st);
}

int
fstat(int fd, struct stat *st)
{
	return with_image_times(fstatat(fd, "", st, AT_EMPTY_PATH), st);
}

int
fstatfs(int fd, struct statfs *fs)
{
	*fs = (struct statfs){ .f_type = (__typeof__(fs->f_type))mount_type };
	return 0;
}

int
statx(int fd, const char *restrict path, int flags, unsigned mask, struct statx *restrict st)
{
	long r = syscall(SYS_statx, fd, path, flags, mask, st);

	st->stx_mask = mount_id ? 0xffffffff : STATX_BASIC_STATS;
	st->stx_mnt_id = mount_id;
	return (int)r;
}

static int
setup(void **state)
{
	int r = fs_make_temp_dir("/tmp", "dray-image-", &dir);

	if (r < 0)
		return r;
	file = path_join(dir, "file");
	return file == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	int r = fs_rm_rf(dir);

	image = NULL;
	free(dir);
	free(file);
	return r;
}

/* In place: inode and size stay. */
static void
put(const char *text)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Whose digest the memo gives the file: that of "one", of "two", or of neither. */
static char
told(struct memo *m)
{
	struct digest d, one, two;

	assert_int_equal(digest_bytes("one", 3, &one), 0);
	assert_int_equal(digest_bytes("two", 3, &two), 0);
	assert_int_equal(memo_digest_file(m, file, &d, NULL), 0);
	if (digest_eq(&d, &one))
		return '1';
	return digest_eq(&d, &two) ? '2' : '?';
}

/* Another image in the first one's place: device, inode, size and times are the same. */
static void
another_image(void **state)
{
	static const struct timespec whole = { 1000000000, 0 }, fine = { 1000000000, 1 };
	_cleanup_(memo_closep) struct memo *m = NULL;
	struct digest one;

	assert_int_equal(memo_open(dir, &m), 0);
	assert_int_equal(digest_bytes("one", 3, &one), 0);
	put("one");
	image = &fine;
	assert_int_equal(told(m), '1');
	put("two");
	assert_int_equal(told(m), '1');
	put("one");

	/* whole seconds: once per mount */
	image = &whole;
	mount_id = 7;
	mount_type = EXT4_SUPER_MAGIC;
	assert_int_equal(told(m), '1');
	put("two");
	assert_int_equal(told(m), '1');
	mount_id = 8;
	assert_int_equal(told(m), '2');
	put("one");
	assert_int_equal(told(m), '2');
	assert_int_equal(memo_flush(m), 0);
	assert_int_equal(told(m), '2');

	/* the kernel tells no mount, or the files change below it: each time */
	mount_id = 0;
	assert_int_equal(told(m), '1');
	put("two");
	assert_int_equal(told(m), '2');
	mount_id = 8;
	mount_type = FUSE_SUPER_MAGIC;
	put("one");
	assert_int_equal(told(m), '1');
	put("two");
	assert_int_equal(told(m), '2');

	/* what was told of it by its stat alone */
	mount_type = EXT4_SUPER_MAGIC;
	memo_note_digest(m, file, &one);
	assert_int_equal(told(m), '2');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(another_image, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
