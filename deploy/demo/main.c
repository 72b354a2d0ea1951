/* The demo's program: prints what it runs on, and leaves a table of primes as a file. */
#include <stdio.h>
#include <sys/utsname.h>

enum { LIMIT = 1000000 };

static char composite[LIMIT + 1];

int main(void) {
	struct utsname u;
	long count = 0, last = 0;
	FILE *table = fopen("/output/primes.txt", "w");

	if (!table || uname(&u) != 0) {
		perror("demo");
		return 1;
	}
	for (long i = 2; i <= LIMIT; i++) {
		if (composite[i])
			continue;
		for (long j = i * i; j <= LIMIT; j += i)
			composite[j] = 1;
		fprintf(table, "%ld\n", i);
		count++;
		last = i;
	}
	printf("hello from %s %s on %s\n", u.sysname, u.release, u.machine);
	printf("%ld primes up to %d, the last is %ld\n", count, LIMIT, last);
	return fclose(table) != 0;
}
