/*
 * heap.h - binary heap of pointers ordered by an int64 key kept in the element.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAP_NONE UINT32_MAX

/* Embed in the element; set at to HEAP_NONE before first use. */
struct heap_node {
	int64_t		key;
	uint32_t	at;
};

struct heap {
	struct heap_node **v;
	uint32_t	   n, cap;
};

void heap_put(struct heap *h, struct heap_node *node, int64_t key);	/* insert or move */
void heap_del(struct heap *h, struct heap_node *node);		/* absent: nothing */
struct heap_node *heap_top(const struct heap *h);		/* NULL when empty */
void heap_clear(struct heap *h);				/* frees the array */
