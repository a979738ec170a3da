/* Directories of jobs that have ended, for those that come: to move one costs a file system a tenth
 * of making and removing it, and a job has twenty or thirty. May be used by any thread. */
#ifndef DRAY_WORKER_SANDBOX_SPARE_H
#define DRAY_WORKER_SANDBOX_SPARE_H

struct spare;

/* Keeps them in a directory beside that of the jobs, which is emptied first. 0 or -errno. */
int spare_open(const char *jobs, struct spare **ret);
void spare_freep(struct spare **s);

/* A new empty directory. 0, also if there is one, or -errno. s may be NULL. */
int spare_make(struct spare *s, const char *path);
/* Takes a tree apart that only this process may write to, and removes it. 0 or -errno: some of it
 * is left. */
int spare_take_back(struct spare *s, const char *path);
/* How many are kept. */
unsigned spare_count(struct spare *s);

#endif
