/* The table of who may say what, and use which command, for people (doc/authorisation.md). */
#ifndef DRAY_TESTS_AUTHORISATION_TABLE_H
#define DRAY_TESTS_AUTHORISATION_TABLE_H

/* Prints it. commands: a file with a line for each command of the programs,
 *
 *     PROGRAM COMMAND: MESSAGE…          what it says to a coordinator, in each case or in some
 *     PROGRAM COMMAND: -                 it says nothing to anybody
 *
 * and comments behind '#'. An exit status: 0, or 2 where that file makes no sense. */
int table_print(const char *commands);

#endif
