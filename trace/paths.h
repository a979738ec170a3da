/* Paths that mean something to the tracer alone: what dray-env.so opens, and no file has. */
#ifndef DRAY_TRACE_PATHS_H
#define DRAY_TRACE_PATHS_H

#define TRACE_ENV "/.dray/env" /* then /, one of these, /, and the variable's name */
#define TRACE_ENV_MACRO 'm'
#define TRACE_ENV_TOOLCHAIN 'r'
/* It was loaded: what it does not report was not asked for. */
#define TRACE_ENV_HELLO TRACE_ENV "/+"

#endif
