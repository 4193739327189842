/* Formatted text on the serial port. */
#ifndef PRINT_H
#define PRINT_H

/* Knows %s, %c, %d, %u, %x (unsigned int), %p (pointer, with 0x and all digits) and %%. A line feed is sent as it is. */
__attribute__((format(printf, 1, 2))) void print(const char *format, ...);

#endif
