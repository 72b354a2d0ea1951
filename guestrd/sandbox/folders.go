package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"
)

// outputFolder is where a job leaves its outputs.
const outputFolder = "/output"

// makeFolders makes the working directory and /output, with their parents, for the job's
// user. What is made gets a fixed mode and time, so that the same job makes the same tree.
func makeFolders(cwd string, user credentials) error {
	var made []string
	for _, dir := range []string{cwd, outputFolder} {
		if err := makeOwned(dir, user, &made); err != nil {
			return refuse(notExecutable, "%s: %v", dir, cause(err))
		}
	}
	for _, dir := range made { // last: a folder's time changes with what is made in it
		if err := os.Chtimes(dir, time.Unix(0, 0), time.Unix(0, 0)); err != nil {
			return refuse(notExecutable, "%s: %v", dir, cause(err))
		}
	}
	return nil
}

func makeOwned(dir string, user credentials, made *[]string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return syscall.ENOTDIR
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeOwned(path.Dir(dir), user, made); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	*made = append(*made, dir)
	return os.Lchown(dir, int(user.uid), int(user.gid))
}

// cause strips the path that the message has already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// openStdio puts the program's three descriptors together.
func (c *child) openStdio() error {
	stdin, ok := c.fds[FDStdin]
	if !ok {
		name := "/dev/null"
		if c.setup.StdinPath != "" {
			name = c.setup.StdinPath
			if !path.IsAbs(name) {
				name = path.Join(c.setup.Cwd, name)
			}
		}
		fd, err := openRegular(name)
		if err != nil {
			return refuse(notExecutable, "stdin %s: %v", name, err)
		}
		stdin = fd
	}
	c.stdio = [3]int{stdin, c.fds[FDStdout], c.fds[FDStderr]}
	return nil
}

// openRegular opens a file for the program to read; opening a FIFO would block for ever.
func openRegular(name string) (int, error) {
	fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return -1, err
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG && name != "/dev/null" {
		syscall.Close(fd)
		return -1, errors.New("not a regular file")
	}
	return fd, syscall.SetNonblock(fd, false)
}

// closeStdio leaves the pipes' ends to the program alone, so that their end is seen.
func (c *child) closeStdio() {
	for _, fd := range c.stdio {
		syscall.Close(fd)
	}
}
