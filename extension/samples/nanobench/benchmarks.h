/* The nanobenchmarks of Adams and Agesen (2006), section 6.3, that run in ring 0. */
#ifndef BENCHMARKS_H
#define BENCHMARKS_H

void run_kernel_benchmarks(void);

#endif
