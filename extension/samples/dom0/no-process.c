/* Domain 0 runs no processes: what seems to come from one is an error. */
#include "../common/xen/domain.h"
#include "../common/xen/traps.h"

void user_system_call(struct trap_frame *frame)
{
	(void)frame;
	panic("a system call in a kernel without processes");
}

void user_exception(struct trap_frame *frame)
{
	(void)frame;
	panic("an exception in user code");
}
