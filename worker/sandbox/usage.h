/* What a running job uses, measured from outside by its processes and its directory.
 *
 * Hostile code may have made both, and may change them meanwhile: the walks follow no symlink, are
 * bounded in work, and skip what vanishes. */
#ifndef DRAY_WORKER_SANDBOX_USAGE_H
#define DRAY_WORKER_SANDBOX_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct usage {
	uint64_t memory;     /* bytes: anonymous, shared and swapped pages, page tables, memfds, and
				what open sockets can hold */
	uint64_t cpu_us;     /* of all processes, those that ended included */
	uint64_t tasks;	     /* processes and threads */
	uint64_t unlinked;   /* bytes of open files on the file system `dev` that have no name */
	uint64_t in_sockets; /* descriptors that were sent and not received: nothing tells what
				they hold */
};

/* Adds up `root` and all below it. The walk ends early, with what it has, above max_tasks. Where a
 * process shares its pages with a forked child they count twice. 0, or -errno when root itself
 * cannot be read. */
int usage_of_processes(pid_t root, dev_t dev, uint64_t max_tasks, struct usage *ret);

/* The same of all processes in the process namespace of `child` (pidfd is of it, too), which has a
 * /proc of its own. No thread's directory is looked at: the kernel removes what it keeps of these
 * when the threads end, and who waits for the process spins until all of that is done, 10 ms and
 * more on a machine that is busy. -ESRCH: it has ended. */
int usage_of_sandbox(pid_t child, int pidfd, dev_t dev, uint64_t max_tasks, struct usage *ret);

struct usage_dir {
	uint64_t bytes;	  /* on the disk */
	uint64_t entries; /* files, directories, anything */
	bool hidden;	  /* some could not be looked at: no permission, or nested too deep */
};

/* Adds up what is below the directory fd (which stays open). Ends early above max_entries. */
int usage_of_dir(int fd, uint64_t max_entries, struct usage_dir *ret);

/* How often the kernel has killed for lack of memory since the machine's start; 0: not known. */
uint64_t usage_oom_kills(void);

#endif
