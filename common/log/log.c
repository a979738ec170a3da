/* Logging. Invariants: one message is one line and one write, so lines of several threads and
 * processes do not mix; and whatever a peer put into a message, no control character reaches the
 * terminal or the journal. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log/log.h"

#define LINE_MAX_BYTES 2048
#define THROTTLE_WINDOW_MS 10000u

static const char *program_name = "dray";
static enum log_level current_level = LOG_LEVEL_NONE;
static pthread_mutex_t throttle_lock = PTHREAD_MUTEX_INITIALIZER;

static const char *const level_names[] = {
	[LOG_LEVEL_NONE] = "none",
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARN] = "warn",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

void
log_init(const char *program, enum log_level level)
{
	const char *env = getenv("DRAY_LOG");

	program_name = program;
	current_level = level;
	if (!env || !*env)
		return;
	current_level = LOG_LEVEL_DEBUG;
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++)
		if (streq(env, level_names[i]))
			current_level = (enum log_level)i;
}

bool
log_enabled(enum log_level level)
{
	return level != LOG_LEVEL_NONE && level <= current_level;
}

static void
write_line(char *line, size_t n)
{
	size_t off = 0;
	int saved = errno;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)line[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			line[i] = '?';
	}
	line[n++] = '\n';
	while (off < n) {
		ssize_t r = write(STDERR_FILENO, line + off, n - off);

		if (r < 0 && errno == EINTR)
			continue;
		/* There is no place left to complain at. */
		if (r <= 0)
			break;
		off += (size_t)r;
	}
	errno = saved;
}

/* Adds to a line of LINE_MAX_BYTES whose last byte is kept for the newline; cuts what is too long.
 */
static void _printf_(3, 0) add(char *line, size_t *n, const char *fmt, va_list ap)
{
	size_t room = LINE_MAX_BYTES - 1 - *n;
	int r;

	if (!room)
		return;
	r = vsnprintf(line + *n, room, fmt, ap);
	if (r > 0)
		*n += MIN2((size_t)r, room - 1);
}

static void _printf_(3, 4) addf(char *line, size_t *n, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(line, n, fmt, ap);
	va_end(ap);
}

static void _printf_(3, 0) emit(enum log_level level, int err, const char *fmt, va_list ap)
{
	char line[LINE_MAX_BYTES];
	char text[128];
	size_t n = 0;

	if (!log_enabled(level))
		return;
	addf(line, &n, "%s: %s: ", program_name, level_names[level]);
	add(line, &n, fmt, ap);
	if (err) {
		const char *why = strerror_r(err < 0 ? -err : err, text, sizeof(text));

		addf(line, &n, ": %s", why);
	}
	write_line(line, n);
}

#define DEFINE_LOG(name, level)          \
	void name(const char *fmt, ...)  \
	{                                \
		va_list ap;              \
                                         \
		va_start(ap, fmt);       \
		emit(level, 0, fmt, ap); \
		va_end(ap);              \
	}

#define DEFINE_LOG_ERRNO(name, level)            \
	void name(int err, const char *fmt, ...) \
	{                                        \
		va_list ap;                      \
                                                 \
		va_start(ap, fmt);               \
		emit(level, err, fmt, ap);       \
		va_end(ap);                      \
	}

DEFINE_LOG(log_error, LOG_LEVEL_ERROR)
DEFINE_LOG(log_warn, LOG_LEVEL_WARN)
DEFINE_LOG(log_info, LOG_LEVEL_INFO)
DEFINE_LOG(log_debug, LOG_LEVEL_DEBUG)
DEFINE_LOG_ERRNO(log_error_errno, LOG_LEVEL_ERROR)
DEFINE_LOG_ERRNO(log_warn_errno, LOG_LEVEL_WARN)

/* Whether a line may be shown now; *ret_dropped is how many were left out before it. */
static bool
throttle_pass(struct log_throttle *t, unsigned burst, unsigned *ret_dropped)
{
	uint64_t now = clock_mono_ms();
	bool pass;

	pthread_mutex_lock(&throttle_lock);
	if (!t->window_start_ms || now - t->window_start_ms >= THROTTLE_WINDOW_MS) {
		t->window_start_ms = now;
		t->shown = 0;
	}
	pass = t->shown < burst;
	if (pass) {
		t->shown++;
		*ret_dropped = t->dropped;
		t->dropped = 0;
	} else {
		t->dropped++;
	}
	pthread_mutex_unlock(&throttle_lock);
	return pass;
}

void
log_throttled(struct log_throttle *t, unsigned burst, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	unsigned dropped = 0;
	size_t n = 0;
	va_list ap;

	if (!log_enabled(LOG_LEVEL_WARN) || !throttle_pass(t, burst, &dropped))
		return;
	addf(line, &n, "%s: %s: ", program_name, level_names[LOG_LEVEL_WARN]);
	if (dropped)
		addf(line, &n, "(%u like this left out) ", dropped);
	va_start(ap, fmt);
	add(line, &n, fmt, ap);
	va_end(ap);
	write_line(line, n);
}
