/* A sandbox needs a /proc of its own. The kernel lets one be mounted only where the whole of an
 * existing one can be seen: not in a container whose /proc has parts covered. */
#ifndef DRAY_MACHINE_NEW_PROC_H
#define DRAY_MACHINE_NEW_PROC_H

#define NEW_PROC_HELP                                                                             \
	"a new /proc cannot be mounted here, since this container has parts of its own covered: " \
	"start "                                                                                  \
	"it with --security-opt systempaths=unconfined (docker), --security-opt unmask=ALL "      \
	"(podman) or "                                                                            \
	"procMount: Unmasked (Kubernetes)"

#endif
