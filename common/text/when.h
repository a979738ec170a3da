/* Times as text: one form for logs and JSON, and what people may write for one. */
#ifndef DRAY_COMMON_TEXT_WHEN_H
#define DRAY_COMMON_TEXT_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/* 2026-11-21T03:52:30.123Z; in milliseconds since 1970. */
#define WHEN_SIZE 40
bool when_parse(const char *s, uint64_t *ret_ms);
void when_format(uint64_t ms, char ret[WHEN_SIZE]);
/* What a user writes: a time ago ("90s", "30m", "1h30m", "2d", "1w"), or when: 2026-11-21,
 * 2026-11-21T10:00, 2026-11-21T10:00:30 in local time, or with a Z in UTC. What is before 1970 by
 * that is 0. */
bool when_parse_since(const char *s, uint64_t now_ms, uint64_t *ret_ms);

#endif
