#include "ports.h"
#include "serial.h"

static const char greeting[] = "Hello from the guest kernel\n";

void kernel_main(void)
{
	serial_initialize();
	for (const char *next = greeting; *next != '\0'; next++)
		serial_write(*next);
	machine_exit(EXIT_VALUE_SUCCESS);
}
