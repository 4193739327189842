#ifndef DIRECTORY_TREE_H
#define DIRECTORY_TREE_H

/* Builds a small tree of files, adds up what is in it and prints the result. */
void directory_tree_demonstrate(void);

#endif
