package theme

// A Page is what a template is given. Its texts are in the language of the page.
type Page struct {
	Language string // en, de, fr or es
	Style    string // path of the stylesheet
	Title    string
	Text     string
	Button   *Button // for the page as a whole; nil: there is none

	// Topics is what the reader can get; empty where the page has a single matter.
	Topics  []Topic
	Heading string  // above the topics
	All     *Button // leaves everything, or takes that back; nil: there is none
}

// A Topic is one topic with the reader's choice.
type Topic struct {
	Name        string
	Description string // may be empty
	Linked      bool   // the link belongs to a message of this topic
	Mark        string // says so; empty for the others
	Left        bool
	State       string  // says whether the topic is left; empty when that is not known
	Button      *Button // nil: there is nothing to change here
}

// A Button is a submit button of a form whose method is post.
type Button struct {
	Name, Value string
	Text        string
	Label       string // with the name of the topic, for screen readers; empty: Text says it all
}

// A Form is what the template of the page is given on which people subscribe. Its texts
// are in the language of the page.
type Form struct {
	Language string
	Style    string
	Title    string
	Text     string
	Problem  string // with what was filled in; empty: none
	Inputs   []Input
	Trap     string // name of an input that no person sees: who fills it in is no person
	Hidden   []Hidden
	Button   string
}

// An Input is a text field of a form.
type Input struct {
	Name, Label  string
	Type         string // of the HTML input: email or text
	Value        string // what was filled in before
	Autocomplete string // what browsers know it as; empty: nothing
	Required     bool
	Wrong        bool // the problem is about this one
}

// A Hidden is a value that comes back with a form.
type Hidden struct{ Name, Value string }
