/* What dray-ld left behind in a job's out-dir: one struct per linker call. The job wrote it, so
 * nothing in it is trusted: counts, lengths, names and file types are checked, no symlink is
 * followed. */
#ifndef DRAY_WORKER_JOB_CAPTURE_H
#define DRAY_WORKER_JOB_CAPTURE_H

#include "common/buf.h"
#include "common/strv.h"
#include "worker/inside/capture_dir.h"

#define CAPTURE_FILES_MAX 20000
#define CAPTURE_BYTES_MAX (3u * 1024 * 1024) /* of argv: it must fit in a JobResult of 4 MiB */

/* The files of one capture directory as they are on disk. */
struct capture_raw {
	struct buf argv, path, files, dirs, output;
};
void capture_raw_done(struct capture_raw *r);

struct capture {
	struct strv argv;  /* argv[0] too */
	char *path;	   /* PATH as the linker saw it */
	struct strv files; /* relative to the out-dir, at most two parts; "0", "1", … hold them */
	struct strv dirs;  /* relative to the out-dir, at most two parts */
	char *output;	   /* name in the out-dir of the file that stands for the linked one */
	int fd;		   /* the capture directory, to open "0", "1", … in; -1: none */
};

struct captures {
	struct capture *v;
	size_t n;
};

/* Pure: 0, -EBADMSG, -ENOMEM. *ret is empty on failure. */
int capture_parse(const struct capture_raw *raw, struct capture *ret);
void capture_done(struct capture *c);

/* Reads all calls below the directory out_fd, in order. None is fine. -EBADMSG: not as dray-ld
 * writes. */
int captures_read(int out_fd, struct captures *ret);
void captures_done(struct captures *c);

/* A file of a capture by its number: a descriptor of a regular file, or -errno. */
int capture_open(const struct capture *c, size_t i);

#endif
