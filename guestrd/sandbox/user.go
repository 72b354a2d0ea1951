package sandbox

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// maxPasswd bounds how much of the image's /etc/passwd or /etc/group is read, in bytes.
const maxPasswd = 4 << 20

// maxID is the highest user or group that the job's user namespace maps.
const maxID = 65535

// credentials are what the program runs as, in the job's user namespace.
type credentials struct {
	uid, gid uint32
	groups   []uint32
	home     string
}

// lookupUser resolves OCI's user[:group] against passwd and group in the folder etc of the image.
func lookupUser(etc, spec string) (credentials, error) {
	user, group, hasGroup := strings.Cut(spec, ":")
	if user == "" {
		user = "0"
	}
	c := credentials{home: "/"}
	uid, numeric := number(user)
	name := user
	line, err := find(etc+"/passwd", func(f []string) bool {
		id, ok := number(f[2])
		return ok && len(f) >= 7 && (f[0] == user || numeric && id == uid)
	})
	switch {
	case err != nil:
		return c, err
	case line != nil:
		name, c.home = line[0], line[5]
		c.uid, _ = number(line[2])
		var mapped bool
		if c.gid, mapped = number(line[3]); !mapped && !hasGroup {
			return c, fmt.Errorf("user %q: want a group of 0 to %d in the image's /etc/passwd; it is %.20q", user, maxID, line[3])
		}
	case numeric:
		c.uid = uid
	default:
		return c, fmt.Errorf("user %q: not in the image's /etc/passwd", user)
	}
	if hasGroup {
		return c, c.setGroup(etc, group)
	}
	return c, c.addGroups(etc, name)
}

func (c *credentials) setGroup(etc, group string) error {
	gid, numeric := number(group)
	if numeric {
		c.gid = gid
		return nil
	}
	line, err := find(etc+"/group", func(f []string) bool { return f[0] == group })
	if err != nil {
		return err
	}
	if line == nil {
		return fmt.Errorf("group %q: not in the image's /etc/group", group)
	}
	gid, ok := number(line[2])
	if !ok {
		return fmt.Errorf("group %q: bad number in the image's /etc/group", group)
	}
	c.gid = gid
	return nil
}

// addGroups collects the groups that list the user as a member.
func (c *credentials) addGroups(etc, name string) error {
	_, err := find(etc+"/group", func(f []string) bool {
		for _, member := range strings.Split(f[len(f)-1], ",") {
			if gid, ok := number(f[2]); ok && len(f) >= 4 && member == name && len(c.groups) < 64 {
				c.groups = append(c.groups, gid)
			}
		}
		return false
	})
	return err
}

// find returns the fields of the first line that match accepts, or nil. A missing file has no lines.
func find(path string, match func([]string) bool) ([]string, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not block
	if err != nil {
		return nil, nil
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s in the image is not a file", path)
	}
	lines := bufio.NewScanner(io.LimitReader(file, maxPasswd))
	for lines.Scan() {
		if f := strings.Split(lines.Text(), ":"); len(f) >= 3 && match(f) {
			return f, nil
		}
	}
	return nil, nil
}

func number(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil && n <= maxID
}
