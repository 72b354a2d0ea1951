#include <ctype.h>
#include "count.h"

struct totals count(FILE *in) {
	struct totals t = {0, 0, 0};
	int c, in_word = 0;
	while ((c = getc(in)) != EOF) {
		t.bytes++;
		t.lines += c == '\n';
		if (isspace(c)) {
			in_word = 0;
		} else if (!in_word) {
			in_word = 1;
			t.words++;
		}
	}
	return t;
}
