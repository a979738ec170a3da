#include "config.h"

#include "rustc/refusal.h"

#define NUMBER_SIZE 4 /* E0308 */

static bool
begins(const char *line, size_t n, const char *with)
{
	return n >= strlen(with) && memcmp(line, with, strlen(with)) == 0;
}

/* Crates and modules that were not found, or not as they should be: a lack of file descriptors
 * looks the same. */
static bool
is_about_files(unsigned number)
{
	return (number >= 454 && number <= 466) || number == 514 || number == 519 ||
	       number == 523 || number == 583 || number == 584 || number == 585 || number == 786;
}

/* error[E0554]: ... */
static bool
has_number(const char *line, size_t n)
{
	static const char start[] = "error[E";
	const char *digits = line + strlen(start);
	unsigned number = 0;

	if (!begins(line, n, start) || n < strlen(start) + NUMBER_SIZE + 2)
		return false;
	for (size_t i = 0; i < NUMBER_SIZE; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return false;
		number = number * 10 + (unsigned)(digits[i] - '0');
	}
	return digits[NUMBER_SIZE] == ']' && digits[NUMBER_SIZE + 1] == ':' &&
	       !is_about_files(number);
}

bool
refusal_is_final(const char *text, size_t n)
{
	const char *p = text, *end = text + n;
	bool found = false;

	if (n == 0 || memchr(text, '\x1b', n) || memchr(text, '\0', n))
		return false;
	while (p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((nl ? nl : end) - p);

		if (has_number(p, len))
			found = true;
		else if (begins(p, len, "error") && !begins(p, len, "error: aborting due to "))
			return false;
		else if (begins(p, len, "thread '") || begins(p, len, "{"))
			return false;
		p += len + 1;
	}
	return found;
}
