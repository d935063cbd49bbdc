/*
 * heap.c - binary heap of pointers to nodes that know their place.  Never
 * owns an element and never allocates but to grow the array.
 *
 *
 * Read next: heap.h.
 */
#include "mta/base/heap.h"

#include <stdlib.h>

#include "mta/base/mem.h"

static void
set_at(struct heap *h, uint32_t at, struct heap_node *node)
{
	h->v[at] = node;
	node->at = at;
}

static void
sift_up(struct heap *h, struct heap_node *node)
{
	uint32_t at = node->at;

	while (at > 0 && h->v[(at - 1) / 2]->key > node->key) {
		set_at(h, at, h->v[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	set_at(h, at, node);
}

static void
sift_down(struct heap *h, struct heap_node *node)
{
	uint32_t at = node->at;

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= h->n)
			break;
		if (child + 1 < h->n && h->v[child + 1]->key < h->v[child]->key)
			child++;
		if (h->v[child]->key >= node->key)
			break;
		set_at(h, at, h->v[child]);
		at = child;
	}
	set_at(h, at, node);
}

void
heap_put(struct heap *h, struct heap_node *node, int64_t key)
{
	node->key = key;
	if (node->at == HEAP_NONE) {
		if (h->n == h->cap) {
			h->cap = h->cap == 0 ? 16 : h->cap * 2;
			h->v = xrealloc(h->v, h->cap * sizeof *h->v);
		}
		set_at(h, h->n++, node);
	}
	sift_up(h, node);
	sift_down(h, node);
}

void
heap_del(struct heap *h, struct heap_node *node)
{
	const uint32_t at = node->at;
	struct heap_node *last;

	if (at == HEAP_NONE)
		return;
	last = h->v[--h->n];
	node->at = HEAP_NONE;
	if (last == node)
		return;
	set_at(h, at, last);
	sift_up(h, last);
	sift_down(h, last);
}

struct heap_node *
heap_top(const struct heap *h)
{
	return h->n == 0 ? NULL : h->v[0];
}

void
heap_clear(struct heap *h)
{
	for (uint32_t i = 0; i < h->n; i++)
		h->v[i]->at = HEAP_NONE;
	free(h->v);
	*h = (struct heap){ 0 };
}
