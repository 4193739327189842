#include "print.h"
#include "serial.h"
#include <stdarg.h>
#include <stdint.h>

static void print_string(const char *text)
{
	while (*text != '\0')
		serial_write(*text++);
}

static void print_unsigned(uintptr_t value, unsigned base, unsigned least_digits)
{
	char digits[20];
	unsigned count = 0;

	do {
		digits[count++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0 || count < least_digits);
	while (count > 0)
		serial_write(digits[--count]);
}

static void print_signed(int value)
{
	if (value < 0)
		serial_write('-');
	print_unsigned(value < 0 ? 0u - (unsigned)value : (unsigned)value, 10, 1);
}

void print(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	for (; *format != '\0'; format++) {
		if (*format != '%') {
			serial_write(*format);
			continue;
		}
		switch (*++format) {
		case 's':
			print_string(va_arg(arguments, const char *));
			break;
		case 'c':
			serial_write((char)va_arg(arguments, int));
			break;
		case 'd':
			print_signed(va_arg(arguments, int));
			break;
		case 'u':
			print_unsigned(va_arg(arguments, unsigned), 10, 1);
			break;
		case 'x':
			print_unsigned(va_arg(arguments, unsigned), 16, 1);
			break;
		case 'p':
			print_string("0x");
			print_unsigned((uintptr_t)va_arg(arguments, void *), 16, 2 * sizeof(void *));
			break;
		default:
			serial_write(*format);
		}
	}
	va_end(arguments);
}
