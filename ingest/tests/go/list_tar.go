// Lists tar archives as the installed Go reads them: the reference that the Rust reader is held to.
//
// Standard input names one archive per line, "path" or "path<TAB>offset<TAB>length" for a part of a file.
// Standard output has one JSON object per archive, in that order. Text is ASCII: any other byte, and the
// backslash, is written \xNN. Global headers are left out, as unpackers leave them out. A body over bodyMax
// bytes is not read. Of more than entriesMax entries only the count and the digest are given.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

const bodyMax = 64 << 20
const entriesMax = 300

type entry struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Size     int64  `json:"size"`
	Link     string `json:"link"`
	Mode     uint32 `json:"mode"`
	Uid      int64  `json:"uid"`
	Gid      int64  `json:"gid"`
	DevMajor int64  `json:"devmajor"`
	DevMinor int64  `json:"devminor"`
	// What could be read of the body; with "body", how that ended: whole, error or skipped.
	Read   int64  `json:"read"`
	Sha256 string `json:"sha256"`
	Body   string `json:"body"`
}

type listing struct {
	File    string  `json:"file"`
	Count   int     `json:"count"`
	Digest  string  `json:"digest"`
	Failed  bool    `json:"failed"`
	Error   string  `json:"error"`
	Entries []entry `json:"entries"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	for lines.Scan() {
		line, err := json.Marshal(listOne(lines.Text()))
		check(err)
		out.Write(line)
		out.WriteByte('\n')
	}
	check(lines.Err())
	check(out.Flush())
}

var lastPath string
var lastBytes []byte

func listOne(line string) listing {
	parts := strings.Split(line, "\t")
	if parts[0] != lastPath {
		content, err := os.ReadFile(parts[0])
		check(err)
		lastPath, lastBytes = parts[0], content
	}
	content := lastBytes
	if len(parts) == 3 {
		offset, err := strconv.Atoi(parts[1])
		check(err)
		length, err := strconv.Atoi(parts[2])
		check(err)
		content = content[offset : offset+length]
	}
	return list(parts[0], content)
}

func list(file string, content []byte) listing {
	result := listing{File: file, Entries: []entry{}}
	reader := tar.NewReader(bytes.NewReader(content))
	digest := sha256.New()
	for {
		header, err := reader.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			result.Failed, result.Error = true, err.Error()
			break
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		one, err := describe(reader, header)
		text, marshalErr := json.Marshal(one)
		check(marshalErr)
		digest.Write(append(text, '\n'))
		result.Count++
		result.Entries = append(result.Entries, one)
		if err != nil {
			result.Failed, result.Error = true, err.Error()
			break
		}
	}
	result.Digest = hex.EncodeToString(digest.Sum(nil))
	if result.Count > entriesMax {
		result.Entries = []entry{}
	}
	return result
}

func describe(reader *tar.Reader, header *tar.Header) (entry, error) {
	one := entry{
		Name: escape(header.Name), Type: escape(string([]byte{header.Typeflag})), Size: header.Size,
		Link: escape(header.Linkname), Mode: uint32(header.Mode), Uid: int64(header.Uid), Gid: int64(header.Gid),
		DevMajor: header.Devmajor, DevMinor: header.Devminor, Body: "whole",
	}
	headerOnly := header.Typeflag >= tar.TypeLink && header.Typeflag <= tar.TypeFifo
	if header.Size > bodyMax && !headerOnly {
		one.Body = "skipped"
		return one, nil
	}
	hash := sha256.New()
	read, err := io.Copy(hash, reader)
	one.Read, one.Sha256 = read, hex.EncodeToString(hash.Sum(nil))
	if err != nil {
		one.Body = "error"
	}
	return one, err
}

func escape(text string) string {
	var escaped strings.Builder
	for _, b := range []byte(text) {
		// The last four would be escaped by one JSON encoder and not by another.
		if b < 0x20 || b > 0x7e || strings.IndexByte(`\"<>&`, b) >= 0 {
			fmt.Fprintf(&escaped, `\x%02x`, b)
		} else {
			escaped.WriteByte(b)
		}
	}
	return escaped.String()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "list_tar:", err)
		os.Exit(2)
	}
}
