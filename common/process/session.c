#include "config.h"

#include "common/process/session.h"

#include <errno.h>
#include <string.h>

#include "common/buf.h"

/* A '*' at the end stands for anything. */
static const char *const names[] = {
	/* what dray, cargo and make hand to each other; a jobserver is another one in each process
	 */
	"CARGO_BUILD_JOBS", "CARGO_MAKEFLAGS", "DRAY_*", "MAKEFLAGS", "MFLAGS", "MAKELEVEL",
	"RUSTC_WRAPPER", "RUST_RECURSION_COUNT", "SSL_CERT_DIR", "SSL_CERT_FILE",
	/* where cargo puts what it makes: OUT_DIR says it as well */
	"CARGO_BUILD_BUILD_DIR", "CARGO_BUILD_TARGET_DIR", "CARGO_TARGET_DIR",
	/* of which the files that the loader takes are inputs; LD_PRELOAD is one by itself */
	"LD_AUDIT", "LD_LIBRARY_PATH", "LD_PRELOAD",
	/* of fakeroot: where its server is; that it is there LD_PRELOAD says */
	"FAKED_*", "FAKEROOT*",
	/* terminals */
	"ALACRITTY_*", "COLORTERM", "COLUMNS", "GNOME_TERMINAL_*", "ITERM_*", "KITTY_*",
	"KONSOLE_*", "LINES", "LS_COLORS", "STY", "TERM", "TERMINFO", "TERM_PROGRAM*",
	"TERM_SESSION_ID", "TMUX*", "VSCODE_*", "VTE_VERSION", "WEZTERM_*", "WINDOW", "WINDOWID",
	"WINDOWPATH", "WT_PROFILE_ID", "WT_SESSION", "ZELLIJ*",
	/* logins and shells */
	"DBUS_SESSION_BUS_ADDRESS", "DESKTOP_SESSION", "DISPLAY", "GPG_AGENT_INFO", "GPG_TTY",
	"HISTFILE", "HISTSIZE", "HOSTNAME", "INVOCATION_ID", "JOURNAL_STREAM", "LESS*", "LOGNAME",
	"MAIL", "MANAGERPID", "OLDPWD", "PROMPT_COMMAND", "PS1", "PWD", "SESSION_MANAGER", "SHLVL",
	"SSH_*", "SUDO_*", "SYSTEMD_EXEC_PID", "USER", "WAYLAND_DISPLAY", "XAUTHORITY",
	"XDG_RUNTIME_DIR", "XDG_SEAT*", "XDG_SESSION_*", "XDG_VTNR", "_",
	/* runs of a CI: files and tokens of this one, its number and its time */
	"ACTIONS_*", "BUILDKITE_AGENT_ACCESS_TOKEN", "BUILDKITE_BUILD_ID", "BUILDKITE_BUILD_NUMBER",
	"BUILDKITE_JOB_ID", "BUILD_ID", "BUILD_NUMBER", "BUILD_TAG", "BUILD_URL", "CI_BUILD_*",
	"CI_CONCURRENT_*", "CI_DEPENDENCY_PROXY_*", "CI_JOB_*", "CI_PIPELINE_*", "CI_REGISTRY_*",
	"CI_REPOSITORY_URL", "CI_RUNNER_*", "CIRCLE_BUILD_*", "CIRCLE_PREVIOUS_BUILD_NUM",
	"CIRCLE_WORKFLOW_*", "GITHUB_ACTION", "GITHUB_ACTION_*", "GITHUB_ENV", "GITHUB_EVENT_PATH",
	"GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_RUN_*", "GITHUB_STATE", "GITHUB_STEP_SUMMARY",
	"GITHUB_TOKEN", "RUNNER_TEMP", "RUNNER_TRACKING_ID", "TRAVIS_BUILD_*", "TRAVIS_JOB_*"
};

const char *
session_name(size_t i)
{
	return i < ARRAY_LEN(names) ? names[i] : NULL;
}

bool
session_has(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		size_t k = strlen(names[i]);

		if (names[i][k - 1] == '*' ? n >= k - 1 && memcmp(names[i], name, k - 1) == 0
					   : n == k && memcmp(names[i], name, k) == 0)
			return true;
	}
	return false;
}

static bool
is_jobs(const char *word, size_t n)
{
	static const char *const begins[] = { "--jobserver-", "--jobs=" };

	for (size_t i = 0; i < ARRAY_LEN(begins); i++)
		if (n >= strlen(begins[i]) && strncmp(word, begins[i], strlen(begins[i])) == 0)
			return true;
	return (n == 2 && memcmp(word, "--", n) == 0) ||
	       (n == 6 && memcmp(word, "--jobs", n) == 0) ||
	       (n >= 2 && memcmp(word, "-j", 2) == 0 && strspn(word + 2, "0123456789") >= n - 2);
}

int
session_make_flags(const char *var, char **ret)
{
	static const char *const vars[] = { "MAKEFLAGS=", "MFLAGS=" };
	_cleanup_(buf_done) struct buf b = BUF_INIT;
	size_t name = 0;
	bool any = false;

	*ret = NULL;
	for (size_t i = 0; i < ARRAY_LEN(vars); i++)
		if (starts_with(var, vars[i]))
			name = strlen(vars[i]);
	if (name == 0)
		return 0;
	if (buf_add(&b, var, name) < 0)
		return -ENOMEM;
	for (const char *p = var + name; *p;) {
		size_t n = strcspn(p, " ");

		if (n > 0 && !is_jobs(p, n)) {
			if ((any && buf_adds(&b, " ") < 0) || buf_add(&b, p, n) < 0)
				return -ENOMEM;
			any = true;
		}
		p += n + (p[n] == ' ');
	}
	if (any)
		*ret = strdup((const char *)b.p);
	return any && !*ret ? -ENOMEM : 0;
}
