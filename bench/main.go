// Command bench measures what Program Explorer costs, beside what people would
// use otherwise, on this machine and in this minute: every row's runs are
// interleaved with those of the others, so that a busy moment hits all alike.
//
// It drives the built programs and the public SDK, as a user does, and imports
// nothing of gateway or executor. `make bench` prepares what it needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
)

// config is what the command line says.
type config struct {
	// filter picks rows by name; nil takes all.
	filter *regexp.Regexp
	// runs is how often each row is measured, besides one run that warms up.
	runs int
	// cache holds images and guests; bin the built programs; out gets bench.json.
	cache, bin, out string
	// soak is how many restores the soak does.
	soak int
}

// ped is the daemon's program.
func (c config) ped() string { return filepath.Join(c.bin, "ped") }

// dirs are the flags that name ped's folders: data of its own, and guests and
// images that are shared.
func (c config) dirs(data string) []string {
	return []string{"--data-dir=" + data, "--guest-dir=" + filepath.Join(c.cache, "guest"), "--catalog=" + filepath.Join(c.cache, "catalog.yaml")}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func parse() (config, error) {
	var c config
	filter := flag.String("filter", "", "regular expression: measure only rows with such names")
	flag.IntVar(&c.runs, "runs", 11, "runs of each row")
	flag.StringVar(&c.cache, "cache", cacheDir(), "folder of images and guests")
	flag.StringVar(&c.bin, "bin", "bin", "folder of the built programs")
	flag.IntVar(&c.soak, "soak", 10000, "restores of the soak, which -filter soak asks for")
	flag.StringVar(&c.out, "out", filepath.Join("bench", "out", "bench.json"), "file for the rows")
	flag.Parse()
	var err error
	c.filter, err = regexp.Compile(*filter)
	if err == nil && (c.runs < 1 || c.soak < 1) {
		err = fmt.Errorf("-runs %d, -soak %d: want at least 1", c.runs, c.soak)
	}
	if err == nil {
		c.cache, err = filepath.Abs(c.cache)
	}
	return c, err
}

func cacheDir() string {
	if dir := os.Getenv("PE_CACHE"); dir != "" {
		return dir
	}
	return ".cache"
}

func run(ctx context.Context) (err error) {
	c, err := parse()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "pe-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	chosen := pick(contestants(ctx, c, work), c.filter)
	if len(chosen) == 0 {
		return fmt.Errorf("no row is called like %q", c.filter)
	}
	measured, err := interleave(ctx, chosen, c.runs)
	if err != nil {
		return err
	}
	rows := summarize(measured, c.filter)
	table(os.Stdout, facts(ctx, measured), rows)
	storageTable(os.Stdout, rows)
	return errors.Join(append(measured.broken, write(c.out, rows))...)
}
