#include <stdio.h>
#include <stdlib.h>
#include "count.h"

int main(int argc, char **argv) {
	if (argc != 2) {
		fprintf(stderr, "usage: %s FILE\n", argv[0]);
		return 2;
	}
	FILE *in = fopen(argv[1], "r");
	if (!in) {
		perror(argv[1]);
		return 1;
	}
	struct totals t = count(in);
	printf("%ld lines, %ld words, %ld bytes\n", t.lines, t.words, t.bytes);
	return 0;
}
