/* Logging for people and for journals: one line a message on stderr.
 *
 * The wrapper is silent (its stderr is the compiler's): its level stays LOG_LEVEL_NONE unless
 * DRAY_LOG names another. Daemons start at info. common/ and proto/ log at debug only: errors are
 * returned, and the program that can say what they mean logs them once. */
#ifndef DRAY_COMMON_LOG_LOG_H
#define DRAY_COMMON_LOG_LOG_H

#include "common/base.h"

enum log_level { LOG_LEVEL_NONE, LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* program: shown at each line's start, not copied. level: used unless DRAY_LOG is set to one of
 * none, error, warn, info, debug (another value counts as debug). */
void log_init(const char *program, enum log_level level);
bool log_enabled(enum log_level level);

void log_error(const char *fmt, ...) _printf_(1, 2);
void log_warn(const char *fmt, ...) _printf_(1, 2);
void log_info(const char *fmt, ...) _printf_(1, 2);
void log_debug(const char *fmt, ...) _printf_(1, 2);
/* With ": <text of errno value err>" at the end; err may be given negative. */
void log_error_errno(int err, const char *fmt, ...) _printf_(2, 3);
void log_warn_errno(int err, const char *fmt, ...) _printf_(2, 3);

/* At most `burst` lines per 10 s for one struct; what was left out is counted in the next line.
 * Use for anything a peer can cause. */
struct log_throttle {
	uint64_t window_start_ms;
	unsigned shown;
	unsigned dropped;
};
void log_throttled(struct log_throttle *t, unsigned burst, const char *fmt, ...) _printf_(3, 4);

#endif
