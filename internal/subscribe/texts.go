package subscribe

import "strings"

// Words are what a reader agrees to, in one language: the proof of a subscription names
// them. {topic} stands for the name of the topic.
type Words struct {
	Title, Text   string            // of the form
	Email, Button string            // labels
	Fields        map[string]string // labels of fields that many forms have

	subject, letter string // of the confirmation, unless a form has its own
}

// wordsOf has the words of each language. In a letter {{.unsubscribe_url}} is the link
// that confirms: see letter.go.
var wordsOf = map[string]Words{
	"en": {
		Title: "Subscribe to {topic}", Text: "We will send a message to your address. Only when you press the button behind its link you get {topic}. You can unsubscribe at any time.",
		Email: "Email address", Button: "Subscribe",
		Fields:  map[string]string{"first_name": "First name", "last_name": "Last name", "name": "Name", "company": "Company"},
		subject: "Please confirm: {{.topic}}",
		letter: `# Do you want to get {{.topic}}?

Somebody, most probably you, has entered this address on our page. You get {{.topic}} only when you confirm that.

**[Yes, subscribe me]({{.unsubscribe_url}})**

The link works for seven days. If it was not you, do nothing: then you get nothing more.
`,
	},
	"de": {
		Title: "{topic} abonnieren", Text: "Wir senden eine Nachricht an Ihre Adresse. Erst wenn Sie hinter deren Link auf den Knopf drücken, bekommen Sie {topic}. Sie können es jederzeit abbestellen.",
		Email: "E-Mail-Adresse", Button: "Abonnieren",
		Fields:  map[string]string{"first_name": "Vorname", "last_name": "Nachname", "name": "Name", "company": "Firma"},
		subject: "Bitte bestätigen: {{.topic}}",
		letter: `# Möchten Sie {{.topic}} bekommen?

Jemand, höchstwahrscheinlich Sie, hat diese Adresse auf unserer Seite eingegeben. Sie bekommen {{.topic}} nur, wenn Sie das bestätigen.

**[Ja, ich möchte es bekommen]({{.unsubscribe_url}})**

Der Link funktioniert sieben Tage lang. Wenn Sie es nicht waren, tun Sie nichts: Dann bekommen Sie nichts weiter.
`,
	},
	"fr": {
		Title: "S’abonner à {topic}", Text: "Nous enverrons un message à votre adresse. Vous ne recevrez {topic} qu’après avoir appuyé sur le bouton derrière son lien. Vous pouvez vous désinscrire à tout moment.",
		Email: "Adresse e-mail", Button: "S’abonner",
		Fields:  map[string]string{"first_name": "Prénom", "last_name": "Nom de famille", "name": "Nom", "company": "Société"},
		subject: "Veuillez confirmer : {{.topic}}",
		letter: `# Voulez-vous recevoir {{.topic}} ?

Quelqu’un, très probablement vous, a saisi cette adresse sur notre page. Vous ne recevrez {{.topic}} que si vous le confirmez.

**[Oui, je m’abonne]({{.unsubscribe_url}})**

Le lien fonctionne pendant sept jours. Si ce n’était pas vous, ne faites rien : vous ne recevrez rien de plus.
`,
	},
	"es": {
		Title: "Suscribirse a {topic}", Text: "Enviaremos un mensaje a su dirección. Solo recibirá {topic} cuando pulse el botón que hay detrás de su enlace. Puede darse de baja en cualquier momento.",
		Email: "Dirección de correo", Button: "Suscribirse",
		Fields:  map[string]string{"first_name": "Nombre", "last_name": "Apellidos", "name": "Nombre completo", "company": "Empresa"},
		subject: "Por favor, confirme: {{.topic}}",
		letter: `# ¿Quiere recibir {{.topic}}?

Alguien, muy probablemente usted, ha escrito esta dirección en nuestra página. Solo recibirá {{.topic}} si lo confirma.

**[Sí, quiero suscribirme]({{.unsubscribe_url}})**

El enlace funciona durante siete días. Si no ha sido usted, no haga nada: no recibirá nada más.
`,
	},
}

// Label returns what a form says of a field.
func (w Words) Label(field string) string {
	if label, ok := w.Fields[field]; ok {
		return label
	}
	label := strings.ReplaceAll(field, "_", " ")
	return strings.ToUpper(label[:1]) + label[1:] // fields are ASCII
}
