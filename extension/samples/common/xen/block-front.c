#include "block-front.h"
#include "../print.h"

void block_check(void)
{
	print("disk: none\n");
}
