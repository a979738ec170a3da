/* The jobserver that cargo, or a make above it, gave this process. */
#ifndef DRAY_CLIENT_SLOTS_GIVEN_H
#define DRAY_CLIENT_SLOTS_GIVEN_H

/* The value that names it, from where rustc looks for it; "" when there is none. */
const char *given_flags(void);

/* How many jobs the build may run at a time (cargo's -j), as far as this process can see. It is
 * never too high; it is too low while compilers hold tokens for their threads. 0: there is no
 * jobserver. */
unsigned given_jobs(void);

#endif
