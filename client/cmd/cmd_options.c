/* The options of all commands. Options end at the first argument that is none, so that what follows
 * may be a command with options of its own. */
#include "config.h"

#include <getopt.h>

#include "client/cmd/cmd.h"

/* An option without a letter is known to getopt by its place in the list. */
#define BY_PLACE 256

static const struct cmd_option *
find(const struct cmd_option *options, int o)
{
	if (o >= BY_PLACE)
		return &options[o - BY_PLACE];
	for (; options->name; options++)
		if (options->letter && options->letter == o)
			return options;
	return NULL;
}

bool
cmd_options(const struct cmd *c, int argc, char **argv, const struct cmd_option *options, int least,
	int most, int *ret_args, int *ret_status)
{
	struct option longs[CMD_OPTIONS_MAX + 2] = { { "help", no_argument, NULL, 'h' } };
	char shorts[2 * CMD_OPTIONS_MAX + 3] = "+h", *end = shorts + 2;
	int o;

	for (int i = 0; options[i].name && i < CMD_OPTIONS_MAX; i++) {
		const struct cmd_option *p = &options[i];

		longs[i + 1] = (struct option){ p->name, p->text ? required_argument : no_argument,
			NULL, p->letter ? p->letter : BY_PLACE + i };
		if (p->letter)
			*end++ = p->letter;
		if (p->letter && p->text)
			*end++ = ':';
	}
	while ((o = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const struct cmd_option *p = find(options, o);

		if (!p) {
			*ret_status = o == 'h' ? cmd_print_help(c) : cmd_usage_error(c);
			return false;
		}
		if (p->text)
			*p->text = optarg;
		else
			*p->flag = true;
	}
	*ret_args = optind;
	if (argc - optind >= least && argc - optind <= most)
		return true;
	if (argc - optind > most)
		cmd_error(c, "unexpected argument: %s", argv[optind + most]);
	else
		cmd_error(c, "an argument is missing");
	*ret_status = cmd_usage_error(c);
	return false;
}
