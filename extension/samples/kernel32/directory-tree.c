/* Structures to look at in the Variables view: a tree with arrays, enumerations, bit-fields, a union and pointers, and
   recursion over it. Compiled without optimization. */
#include "directory-tree.h"
#include "memory.h"
#include "print.h"
#include <stdint.h>

#define NAME_SIZE 12
#define CHILD_LIMIT 4

enum node_kind { NODE_FILE, NODE_DIRECTORY, NODE_LINK };

struct permissions {
	unsigned read : 1;
	unsigned write : 1;
	unsigned execute : 1;
	signed priority : 5;
	unsigned owner : 10;
};

struct node {
	char name[NAME_SIZE];
	enum node_kind kind;
	struct permissions permissions;
	struct node *parent;
	union {
		struct {
			uint32_t size;
			uint8_t first_bytes[8];
		} file;
		struct {
			unsigned count;
			struct node *children[CHILD_LIMIT];
		} directory;
		const struct node *target;
	} as;
};

struct totals {
	unsigned files, directories, links;
	uint64_t bytes;
	unsigned deepest;
};

static struct node nodes[8];
static unsigned node_count;

static struct node *add(struct node *parent, const char *name, enum node_kind kind)
{
	struct node *node = &nodes[node_count++];

	for (unsigned i = 0; i + 1 < NAME_SIZE && name[i] != '\0'; i++)
		node->name[i] = name[i];
	node->kind = kind;
	node->parent = parent;
	node->permissions.read = 1;
	node->permissions.write = kind != NODE_LINK;
	node->permissions.execute = kind == NODE_DIRECTORY;
	node->permissions.priority = -(int)node_count;
	node->permissions.owner = 100 + node_count;
	if (parent != 0)
		parent->as.directory.children[parent->as.directory.count++] = node;
	return node;
}

static struct node *add_file(struct node *parent, const char *name, uint32_t size)
{
	struct node *node = add(parent, name, NODE_FILE);

	node->as.file.size = size;
	for (unsigned i = 0; i < sizeof(node->as.file.first_bytes); i++)
		node->as.file.first_bytes[i] = (uint8_t)(size >> i);
	return node;
}

static void add_up(const struct node *node, unsigned depth, struct totals *totals)
{
	if (depth > totals->deepest)
		totals->deepest = depth;
	switch (node->kind) {
	case NODE_FILE:
		totals->files++;
		totals->bytes += node->as.file.size;
		break;
	case NODE_DIRECTORY:
		totals->directories++;
		for (unsigned i = 0; i < node->as.directory.count; i++) {
			const struct node *child = node->as.directory.children[i];
			add_up(child, depth + 1, totals);
		}
		break;
	case NODE_LINK:
		totals->links++;
		break;
	}
}

void directory_tree_demonstrate(void)
{
	struct totals totals = { 0 };
	int priorities = 0;

	node_count = 0;
	memset(nodes, 0, sizeof(nodes));
	struct node *root = add(0, "/", NODE_DIRECTORY);
	struct node *boot = add(root, "boot", NODE_DIRECTORY);
	struct node *kernel = add_file(boot, "kernel", 70000);
	add_file(boot, "initrd", 4000000000u);
	struct node *etc = add(root, "etc", NODE_DIRECTORY);
	add_file(etc, "passwd", 1200000000u);
	add(root, "vmlinuz", NODE_LINK)->as.target = kernel;

	add_up(root, 0, &totals);
	for (unsigned i = 0; i < node_count; i++)
		priorities += nodes[i].permissions.priority;
	print("tree: %u files, %u directories, %u link, depth %u, bytes 0x%x%x, priorities %d\n", totals.files,
	      totals.directories, totals.links, totals.deepest, (unsigned)(totals.bytes >> 32), (unsigned)totals.bytes,
	      priorities);
}
