#include "ports.h"
#include "print.h"
#include "serial.h"

int call_is_prime(int a);

void kernel_main(void)
{
	int number = 49;

	serial_initialize();
	int result = call_is_prime(number);
	print("isPrime(%d) = %d\n", number, result);
	machine_exit(EXIT_VALUE_SUCCESS);
}
