package web

import "strings"

// texts is what pages say in one language. {topic} stands for the name of a
// topic, and {address} for the address of the reader.
type texts struct {
	askTitle, askText       string // before anything was left
	doneTitle, doneText     string // after
	againTitle, againText   string // after that was undone
	keptTitle, keptText     string // when it cannot be undone
	retryTitle, retryText   string // when the store is away
	testTitle, testText     string // of a link in a test message
	brokenTitle, brokenText string // of a link that does not open
	deadEnd                 string // of one that leads nowhere, in place of brokenText

	heading    string // above the topics
	mark       string // of the topic that the link belongs to
	subscribed string
	left       string
	everything string // in place of the name of a topic
	you        string // in place of an address that is none

	leave, leaveAll, undo, retry string // labels of buttons
}

// fill puts the name of a topic and an address into a text.
func fill(text, topic, address string) string {
	return strings.NewReplacer("{topic}", topic, "{address}", address).Replace(text)
}

// defaultLanguage is that of readers whose language is not among textsOf.
const defaultLanguage = "en"

// textsOf has the texts of each language.
var textsOf = map[string]texts{
	"en": {
		askTitle: "Unsubscribe from {topic}?", askText: "We will send nothing more of it to {address}.",
		doneTitle: "You are unsubscribed", doneText: "We will send nothing more of {topic} to {address}. You can close this page.",
		againTitle: "You are subscribed again", againText: "We will send {topic} to {address} as before.",
		keptTitle: "Nothing has changed", keptText: "This cannot be undone here. If you want to get {topic} again, please reply to one of our messages.",
		retryTitle: "Please try again in a minute", retryText: "We could not note it just now: nothing has changed yet.",
		testTitle: "This is a test link", testText: "It belongs to a test message and unsubscribes nobody. In a real message, readers can unsubscribe from {topic} here.",
		brokenTitle: "This link does not work", brokenText: "It may have been cut or changed on its way. Please copy the whole link from the message, or reply to the message and ask to be taken off the list.",
		deadEnd: "It may have been cut or changed on its way. Please copy the whole link from the message.",
		heading: "What you can get from us", mark: "From this message", subscribed: "Subscribed", left: "Unsubscribed",
		everything: "our messages", you: "you",
		leave: "Unsubscribe", leaveAll: "Unsubscribe from everything", undo: "Undo", retry: "Try again",
	},
	"de": {
		askTitle: "Möchten Sie {topic} abbestellen?", askText: "Wir senden dann nichts mehr davon an {address}.",
		doneTitle: "Die Abbestellung ist erledigt", doneText: "Wir senden {topic} nicht mehr an {address}. Sie können diese Seite schließen.",
		againTitle: "Die Abbestellung ist rückgängig gemacht", againText: "Wir senden {topic} wieder an {address}, wie zuvor.",
		keptTitle: "Es hat sich nichts geändert", keptText: "Das lässt sich hier nicht rückgängig machen. Wenn Sie {topic} wieder bekommen möchten, antworten Sie bitte auf eine unserer Nachrichten.",
		retryTitle: "Bitte versuchen Sie es in einer Minute noch einmal", retryText: "Wir konnten es gerade nicht festhalten: Noch hat sich nichts geändert.",
		testTitle: "Das ist ein Test-Link", testText: "Er gehört zu einer Testnachricht und bestellt niemanden ab. In einer echten Nachricht lässt sich {topic} hier abbestellen.",
		brokenTitle: "Dieser Link funktioniert nicht", brokenText: "Vielleicht wurde er unterwegs gekürzt oder verändert. Bitte kopieren Sie den ganzen Link aus der Nachricht, oder antworten Sie auf die Nachricht und bitten Sie darum, aus der Liste genommen zu werden.",
		deadEnd: "Vielleicht wurde er unterwegs gekürzt oder verändert. Bitte kopieren Sie den ganzen Link aus der Nachricht.",
		heading: "Was Sie von uns bekommen können", mark: "Aus dieser Nachricht", subscribed: "Abonniert", left: "Abbestellt",
		everything: "unsere Nachrichten", you: "Sie",
		leave: "Abbestellen", leaveAll: "Alles abbestellen", undo: "Rückgängig machen", retry: "Noch einmal versuchen",
	},
	"fr": {
		askTitle: "Vous désinscrire de {topic} ?", askText: "Nous n’en enverrons plus rien à {address}.",
		doneTitle: "Votre désinscription est faite", doneText: "Nous n’enverrons plus {topic} à {address}. Vous pouvez fermer cette page.",
		againTitle: "Vous êtes de nouveau inscrit", againText: "Nous enverrons {topic} à {address} comme avant.",
		keptTitle: "Rien n’a changé", keptText: "Ceci ne peut pas être annulé ici. Si vous voulez recevoir de nouveau {topic}, répondez à l’un de nos messages.",
		retryTitle: "Veuillez réessayer dans une minute", retryText: "Nous n’avons pas pu l’enregistrer : rien n’a encore changé.",
		testTitle: "Ceci est un lien de test", testText: "Il appartient à un message de test et ne désinscrit personne. Dans un vrai message, il permet de se désinscrire de {topic}.",
		brokenTitle: "Ce lien ne fonctionne pas", brokenText: "Il a peut-être été coupé ou modifié en route. Copiez le lien entier depuis le message, ou répondez au message et demandez à être retiré de la liste.",
		deadEnd: "Il a peut-être été coupé ou modifié en route. Copiez le lien entier depuis le message.",
		heading: "Ce que vous pouvez recevoir de nous", mark: "De ce message", subscribed: "Inscription active", left: "Désinscription faite",
		everything: "nos messages", you: "vous",
		leave: "Se désinscrire", leaveAll: "Se désinscrire de tout", undo: "Annuler", retry: "Réessayer",
	},
	"es": {
		askTitle: "¿Darse de baja de {topic}?", askText: "No enviaremos nada más de ello a {address}.",
		doneTitle: "Su baja está hecha", doneText: "No enviaremos más {topic} a {address}. Puede cerrar esta página.",
		againTitle: "Su suscripción está activa de nuevo", againText: "Enviaremos {topic} a {address} como antes.",
		keptTitle: "No ha cambiado nada", keptText: "Esto no se puede deshacer aquí. Si quiere volver a recibir {topic}, responda a uno de nuestros mensajes.",
		retryTitle: "Inténtelo de nuevo en un minuto", retryText: "Ahora mismo no hemos podido anotarlo: todavía no ha cambiado nada.",
		testTitle: "Este es un enlace de prueba", testText: "Pertenece a un mensaje de prueba y no da de baja a nadie. En un mensaje real, aquí se puede dar de baja de {topic}.",
		brokenTitle: "Este enlace no funciona", brokenText: "Puede que se haya cortado o cambiado por el camino. Copie el enlace entero del mensaje, o responda al mensaje y pida que le quiten de la lista.",
		deadEnd: "Puede que se haya cortado o cambiado por el camino. Copie el enlace entero del mensaje.",
		heading: "Lo que puede recibir de nosotros", mark: "De este mensaje", subscribed: "Suscripción activa", left: "Baja hecha",
		everything: "nuestros mensajes", you: "usted",
		leave: "Darse de baja", leaveAll: "Darse de baja de todo", undo: "Deshacer", retry: "Intentar de nuevo",
	},
}
