/* What a program reads at once when it starts. Then it tells the time for each
   byte that it is sent. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void hex(const char *name, const unsigned char *b, int n) {
	printf(" %s=", name);
	for (int i = 0; i < n; i++)
		printf("%02x", b[i]);
}

/* Reads n bytes into b, or fewer. */
static int slurp(const char *path, void *b, int n) {
	int fd = open(path, O_RDONLY);
	int got = fd < 0 ? -1 : (int)read(fd, b, n);
	close(fd);
	return got;
}

static void text(const char *name, const char *path) {
	char b[64] = "";
	int n = slurp(path, b, sizeof b - 1);
	if (n > 0 && b[n - 1] == '\n')
		b[n - 1] = 0;
	printf(" %s=%s", name, b);
}

int main(void) {
	long long clock = now();
	unsigned char random[16], device[16];
	if (getrandom(random, sizeof random, 0) != sizeof random || slurp("/dev/urandom", device, sizeof device) != sizeof device)
		return 1;
	static char line[1024];
	setvbuf(stdout, line, _IOFBF, sizeof line); /* one write for each line: two programs share the pipe */
	char host[65] = "";
	gethostname(host, sizeof host - 1);
	printf("c clock=%lld", clock);
	hex("getrandom", random, sizeof random);
	hex("urandom", device, sizeof device);
	hex("auxv", (const unsigned char *)getauxval(AT_RANDOM), 16);
	text("uuid", "/proc/sys/kernel/random/uuid");
	text("boot", "/proc/sys/kernel/random/boot_id");
	text("machine", "/etc/machine-id");
	printf(" host=%s\n", host);
	fflush(stdout);
	for (char b; read(0, &b, 1) == 1; fflush(stdout))
		printf("t %lld\n", now());
	return 0;
}
