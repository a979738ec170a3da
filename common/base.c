/* What base.h cannot hold as inline functions. Invariant: cleanup helpers never change errno, so a
 * function may return -errno while its variables leave scope. */
#include "config.h"

#include <errno.h>

#include "common/base.h"

void
closep(int *fd)
{
	int saved = errno;

	/* Linux has released the number also when close reports EINTR: closing twice could hit a
	 * descriptor that another thread has just opened. */
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}
