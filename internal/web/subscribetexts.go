package web

// subscribeTexts is what the pages about subscriptions say in one language, but for the
// form itself, whose words are in package subscribe. {topic} and {address} are as in texts.
type subscribeTexts struct {
	badAddress, badField        string // above the form
	unreadable, tooMany, notNow string // the same
	sentTitle, sentText         string // whatever the address is
	askTitle, askText, confirm  string // of a link
	doneTitle, doneText         string
	keptTitle, keptText         string // when the address is suppressed
	oldTitle, oldText           string
	brokenTitle, brokenText     string
}

// subscribeTextsOf has the texts of each language.
var subscribeTextsOf = map[string]subscribeTexts{
	"en": {
		badAddress: "This is not an address that can get mail. Please check it.",
		badField:   "Please write one line of at most 100 characters, without links and addresses.",
		unreadable: "What arrived could not be read. Please fill in the form again.",
		tooMany:    "There have been many requests from your network. Please try again later.",
		notNow:     "We could not note it just now. Please try again in a minute.",
		sentTitle:  "Please look into your mailbox", sentText: "If this address can get {topic}, a message with a link is on its way to it. Open the link within seven days. Nothing there? Look among the spam, or try again later.",
		askTitle: "Do you want to get {topic}?", askText: "Press the button, and we will send it to {address}.", confirm: "Yes, subscribe",
		doneTitle: "You are subscribed", doneText: "We will send {topic} to {address}. Every message has a link to unsubscribe. You can close this page.",
		keptTitle: "Nothing has changed", keptText: "We do not send to {address}: it has been unsubscribed, or messages to it came back. Please write to us if you want to get {topic}.",
		oldTitle: "This link is too old", oldText: "It worked for seven days. Please fill in the form again to get a new one.",
		brokenTitle: "This link does not work", brokenText: "It may have been cut or changed on its way. Please copy the whole link from the message, or fill in the form again.",
	},
	"de": {
		badAddress: "Das ist keine Adresse, die Post bekommen kann. Bitte prüfen Sie sie.",
		badField:   "Bitte schreiben Sie eine Zeile mit höchstens 100 Zeichen, ohne Links und Adressen.",
		unreadable: "Was ankam, ließ sich nicht lesen. Bitte füllen Sie das Formular noch einmal aus.",
		tooMany:    "Aus Ihrem Netz kamen viele Anfragen. Bitte versuchen Sie es später noch einmal.",
		notNow:     "Wir konnten es gerade nicht festhalten. Bitte versuchen Sie es in einer Minute noch einmal.",
		sentTitle:  "Bitte schauen Sie in Ihr Postfach", sentText: "Wenn diese Adresse {topic} bekommen kann, ist eine Nachricht mit einem Link dorthin unterwegs. Öffnen Sie ihn innerhalb von sieben Tagen. Nichts da? Schauen Sie im Spam nach, oder versuchen Sie es später noch einmal.",
		askTitle: "Möchten Sie {topic} bekommen?", askText: "Drücken Sie auf den Knopf, dann senden wir es an {address}.", confirm: "Ja, abonnieren",
		doneTitle: "Sie haben es abonniert", doneText: "Wir senden {topic} an {address}. In jeder Nachricht ist ein Link zum Abbestellen. Sie können diese Seite schließen.",
		keptTitle: "Es hat sich nichts geändert", keptText: "An {address} senden wir nicht: Es wurde abbestellt, oder Nachrichten kamen zurück. Bitte schreiben Sie uns, wenn Sie {topic} bekommen möchten.",
		oldTitle: "Dieser Link ist zu alt", oldText: "Er hat sieben Tage lang funktioniert. Bitte füllen Sie das Formular noch einmal aus, um einen neuen zu bekommen.",
		brokenTitle: "Dieser Link funktioniert nicht", brokenText: "Vielleicht wurde er unterwegs gekürzt oder verändert. Bitte kopieren Sie den ganzen Link aus der Nachricht, oder füllen Sie das Formular noch einmal aus.",
	},
	"fr": {
		badAddress: "Cette adresse ne peut pas recevoir de courrier. Veuillez la vérifier.",
		badField:   "Veuillez écrire une ligne de 100 caractères au plus, sans lien ni adresse.",
		unreadable: "Ce qui est arrivé n’a pas pu être lu. Veuillez remplir de nouveau le formulaire.",
		tooMany:    "Il y a eu beaucoup de demandes depuis votre réseau. Veuillez réessayer plus tard.",
		notNow:     "Nous n’avons pas pu l’enregistrer. Veuillez réessayer dans une minute.",
		sentTitle:  "Regardez dans votre boîte aux lettres", sentText: "Si cette adresse peut recevoir {topic}, un message avec un lien est en route. Ouvrez le lien dans les sept jours. Rien reçu ? Regardez dans les indésirables, ou réessayez plus tard.",
		askTitle: "Voulez-vous recevoir {topic} ?", askText: "Appuyez sur le bouton, et nous l’enverrons à {address}.", confirm: "Oui, je m’abonne",
		doneTitle: "Vous êtes inscrit", doneText: "Nous enverrons {topic} à {address}. Chaque message contient un lien pour se désinscrire. Vous pouvez fermer cette page.",
		keptTitle: "Rien n’a changé", keptText: "Nous n’envoyons rien à {address} : cette adresse a été désinscrite, ou des messages sont revenus. Écrivez-nous si vous voulez recevoir {topic}.",
		oldTitle: "Ce lien est trop ancien", oldText: "Il a fonctionné pendant sept jours. Remplissez de nouveau le formulaire pour en recevoir un autre.",
		brokenTitle: "Ce lien ne fonctionne pas", brokenText: "Il a peut-être été coupé ou modifié en route. Copiez le lien entier depuis le message, ou remplissez de nouveau le formulaire.",
	},
	"es": {
		badAddress: "Esta dirección no puede recibir correo. Por favor, revísela.",
		badField:   "Escriba una línea de 100 caracteres como máximo, sin enlaces ni direcciones.",
		unreadable: "No se ha podido leer lo que ha llegado. Rellene de nuevo el formulario.",
		tooMany:    "Ha habido muchas solicitudes desde su red. Inténtelo de nuevo más tarde.",
		notNow:     "Ahora mismo no hemos podido anotarlo. Inténtelo de nuevo en un minuto.",
		sentTitle:  "Mire en su buzón", sentText: "Si esta dirección puede recibir {topic}, un mensaje con un enlace está en camino. Ábralo en un plazo de siete días. ¿No hay nada? Mire en el correo no deseado o inténtelo de nuevo más tarde.",
		askTitle: "¿Quiere recibir {topic}?", askText: "Pulse el botón y lo enviaremos a {address}.", confirm: "Sí, suscribirme",
		doneTitle: "Su suscripción está hecha", doneText: "Enviaremos {topic} a {address}. Cada mensaje lleva un enlace para darse de baja. Puede cerrar esta página.",
		keptTitle: "No ha cambiado nada", keptText: "No enviamos a {address}: se dio de baja o los mensajes volvieron. Escríbanos si quiere recibir {topic}.",
		oldTitle: "Este enlace es demasiado antiguo", oldText: "Funcionó durante siete días. Rellene de nuevo el formulario para recibir otro.",
		brokenTitle: "Este enlace no funciona", brokenText: "Puede que se haya cortado o cambiado por el camino. Copie el enlace entero del mensaje o rellene de nuevo el formulario.",
	},
}
