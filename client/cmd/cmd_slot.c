/* dray slot: runs any command in one of the local slots. So what cargo's `runner` starts (tests,
 * mostly) shares the machine with the compilers of all builds.
 *
 * Invariants: the command runs whatever is wrong with dray or its slots. It has the arguments,
 * environment, descriptors, directory and signals that dray was started with. It does not outlive
 * this process, which alone has the slot. A command that needs another slot (it builds with dray,
 * or runs `dray slot`) gets one: slots_lent.c lends a slot on if its holder is above the process
 * that looks. Orphans of the command become children of this process, so that this is seen of them,
 * too.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "client/cmd/cmd.h"
#include "client/wrap/local.h"
#include "client/wrap/settings.h"
#include "common/process/child.h"
#include "common/process/spawn.h"

#define STATUS_NOT_FOUND 127
#define STATUS_NOT_RUN 126

/* What the command gets as dray itself was given it. */
struct given_signals {
	sigset_t mask;
	struct sigaction child; /* SIGCHLD's */
};

static volatile sig_atomic_t command;

/* A terminal's signal is not passed on: the kernel sends it to the whole process group, so the
 * command has it already, and some programs count how often it comes. */
static void
pass_on(int sig, siginfo_t *si, void *context)
{
	int saved = errno;

	if (command > 0 && si->si_code <= 0 && si->si_pid != (pid_t)command)
		kill((pid_t)command, sig);
	errno = saved;
}

/* Not passed on: signals that cannot be caught, those that this process's own faults raise, and
 * those by which a terminal stops and continues each process. */
static bool
is_passed_on(int sig)
{
	static const int not [] = { SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGCHLD,
		SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGSYS, SIGXCPU, SIGXFSZ,
		SIGPIPE };

	for (size_t i = 0; i < ARRAY_LEN(not ); i++)
		if (sig == not [i])
			return false;
	return true;
}

/* A signal that is ignored stays ignored, here and in the command. */
static void
catch_all(void)
{
	struct sigaction sa = { .sa_sigaction = pass_on, .sa_flags = SA_SIGINFO | SA_RESTART }, old;

	sigfillset(&sa.sa_mask);
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if (is_passed_on(sig) && sigaction(sig, NULL, &old) == 0 &&
			old.sa_handler != SIG_IGN)
			sigaction(sig, &sa, NULL);
}

/* In the child. Does not return. */
static void
become(char **argv, const struct given_signals *given, pid_t parent, int said)
{
	int err = ECANCELED;

	/* a parent that died before this call sends nothing */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent) {
		for (int sig = 1; sig <= SIGRTMAX; sig++) {
			struct sigaction now;

			/* until the exec the parent's handler would still run here */
			if (is_passed_on(sig) && sigaction(sig, NULL, &now) == 0 &&
				now.sa_handler != SIG_IGN)
				signal(sig, SIG_DFL);
		}
		sigaction(SIGCHLD, &given->child, NULL);
		sigprocmask(SIG_SETMASK, &given->mask, NULL);
		execvp(argv[0], argv);
		err = errno;
	}
	if (write(said, &err, sizeof(err)) != sizeof(err))
		_exit(STATUS_NOT_RUN);
	_exit(STATUS_NOT_RUN);
}

/* Waits for the command's end, and collects orphans that end before. All signals are blocked when
 * it returns: so none is passed on to another process that gets the command's number. */
static int
await(pid_t pid)
{
	siginfo_t si;
	sigset_t all;

	sigfillset(&all);
	for (;;) {
		if (waitid(P_ALL, 0, &si, WEXITED | WNOWAIT) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (si.si_pid == pid)
			break;
		waitpid(si.si_pid, NULL, 0);
	}
	sigprocmask(SIG_BLOCK, &all, NULL);
	command = 0;
	return spawn_wait(pid, NULL);
}

/* The command's exit status, or SPAWN_SIGNALLED + signal; -errno: it could not be started. */
static int
run_command(char **argv, const struct given_signals *given)
{
	_cleanup_(closep) int rd = -1;
	_cleanup_(closep) int wr = -1;
	pid_t pid, parent = getpid();
	int fds[2], err = 0, status;
	sigset_t all, old;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	rd = fds[0];
	wr = fds[1];
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	if (child_signal())
		return SPAWN_SIGNALLED + child_signal();
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(argv, given, parent, wr);
	closep(&wr);
	command = pid;
	catch_all();
	sigprocmask(SIG_SETMASK, &old, NULL);
	/* the child writes errno if exec fails; the end of the pipe means that exec worked */
	while (read(rd, &err, sizeof(err)) < 0 && errno == EINTR)
		;
	closep(&rd);
	status = await(pid);
	return err ? -err : status;
}

/* Tells `dray status` which command it is. */
static void
say(struct slots *s, char **argv)
{
	_cleanup_(buf_done) struct buf words = BUF_INIT;
	struct notice n;

	for (; *argv; argv++)
		if (buf_addf(&words, "%s%s", words.n ? " " : "", *argv) < 0)
			return;
	notice_make(&n, "run", words.n ? (const char *)words.p : "", NULL);
	slots_say(s, &n);
}

/* The slot's descriptor. Negative: no slot can be taken, and the command runs without one. */
static int
take_slot(char **argv)
{
	_cleanup_(slots_closep) struct slots *s = NULL;
	_cleanup_(conf_freep) struct conf *conf = NULL;
	_cleanup_(freep) char *error = NULL;

	if (wrap_load_conf(&conf, &error) < 0 || conf->client.disable)
		return -1;
	s = local_open_slots(conf);
	if (!s)
		return -1;
	say(s, argv);
	return slots_wait(s);
}

static int
run(int argc, char **argv)
{
	static const struct cmd_option options[] = { { .name = NULL } };
	_cleanup_(closep) int slot = -1;
	struct given_signals given;
	int args, status;

	if (!cmd_options(&cmd_slot, argc, argv, options, 1, CMD_ARGS_MAX, &args, &status))
		return status;
	sigprocmask(SIG_SETMASK, NULL, &given.mask);
	sigaction(SIGCHLD, NULL, &given.child);
	child_catch_signals();
	slot = take_slot(argv + args);
	if (child_signal())
		return SPAWN_SIGNALLED + child_signal();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	status = run_command(argv + args, &given);
	if (status >= 0)
		return status;
	cmd_error(&cmd_slot, "cannot run %s: %s", argv[args], strerror(-status));
	return status == -ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_RUN;
}

const struct cmd cmd_slot = {
	.name = "slot",
	.usage = "slot [--] COMMAND [ARGUMENT]...",
	.summary = "Run a command as one of this machine's local slots",
	.help = "The command waits until one of the user's local slots is free, as compiles here "
		"do, and\n"
		"has it until it ends. As cargo's runner, for tests of all checkouts:\n"
		"\n"
		"  [target.'cfg(all())']\n"
		"  runner = [\"dray\", \"slot\", \"--\"]\n"
		"\n"
		"  -h, --help  print this\n",
	.run = run,
};
