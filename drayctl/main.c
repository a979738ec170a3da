/* drayctl: see args.c. */
#include "config.h"

#include "drayctl/ctl.h"

int
main(int argc, char **argv)
{
	return ctl_main(argc, argv);
}
