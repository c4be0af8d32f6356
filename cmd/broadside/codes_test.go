package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"broadside/campaign/codes"
)

// TestEveryCodeIsUsedAndExplained reads the program: each constant of a code
// has an explanation and is used outside of package codes, and no other
// package writes a code as text that no one could look up.
func TestEveryCodeIsUsedAndExplained(t *testing.T) {
	t.Parallel()
	constants := codeConstants(t)
	if len(constants) < 10 {
		t.Fatalf("found %d constants of codes", len(constants))
	}

	explained := map[string]bool{}
	for _, e := range codes.All() {
		explained[string(e.Code)] = true
	}

	for name, code := range constants {
		if !explained[code] {
			t.Errorf("codes.%s (%s) has no explanation", name, code)
		}
		delete(explained, code)
	}

	for code := range explained {
		t.Errorf("%s is explained and has no constant", code)
	}

	used, literals := codesInProgram(t)
	rules, err := os.ReadFile("../../sender/reply/rules.yaml") // it names the codes of replies
	if err != nil {
		t.Fatal(err)
	}

	for name, code := range constants {
		if !used[name] && !strings.Contains(string(rules), "code: "+code+"\n") {
			t.Errorf("codes.%s is used nowhere", name)
		}
	}

	for code, file := range literals {
		if _, ok := codes.Explain(code); !ok {
			t.Errorf("%s: nobody can look up %s", file, code)
		}
	}
}

// codeConstants returns the constants of type Code of package codes.
func codeConstants(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../campaign/codes/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no file of codes (%v)", err)
	}

	constants := map[string]string{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}

		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}

			if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Code" {
				return true
			}

			for i, v := range spec.Values {
				if text, err := strconv.Unquote(v.(*ast.BasicLit).Value); err == nil {
					constants[spec.Names[i].Name] = text
				}
			}

			return true
		})
	}

	return constants
}

// codesInProgram returns which constants of codes the program uses, and the
// codes that stand in it as text, with the file.
func codesInProgram(t *testing.T) (used map[string]bool, literals map[string]string) {
	t.Helper()
	used = map[string]bool{}
	literals = map[string]string{}
	constant := regexp.MustCompile(`\bcodes\.([A-Z]\w*)`)
	literal := regexp.MustCompile(`\bBS(?:-[A-Z0-9]+)+\b`)
	err := filepath.WalkDir("../..", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2:
			return fs.SkipDir
		case filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") || filepath.Base(filepath.Dir(file)) == "codes":
			return nil
		}

		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}

		for _, m := range constant.FindAllSubmatch(text, -1) {
			used[string(m[1])] = true
		}

		for _, m := range literal.FindAll(text, -1) {
			literals[string(m)] = file
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	return used, literals
}
