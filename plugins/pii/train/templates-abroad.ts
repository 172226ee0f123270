/**
 * The same as train/templates.ts in German, French, Spanish, Italian, Portuguese and Dutch: sentences with people, places
 * and addresses, and sentences with none, German ones with the capitals that its nouns have.
 */

export const ABROAD: Readonly<Record<string, readonly string[]>> = {
  de: `Mein Name ist {person}.
Ich heiße {full} und wohne in {city}.
ich bin {given} aus {city}
Hallo {given}, hast du morgen Zeit?
Liebe {given},
Sehr geehrter Herr {family},
Sehr geehrte Frau {family},
Mit freundlichen Grüßen\\n{full}
Viele Grüße\\n{given}
Frau {full} ist unter dieser Nummer erreichbar.
Herr {family} hat gestern angerufen.
Wer ist {full}?
{full} wurde in {city} geboren.
{given} und {given} fahren nach {city}.
Ich habe mit {given} gesprochen.
sag {given} bitte Bescheid
Der Patient {full}, geboren am {date}
Kundin: {full}
Meine Adresse ist {address}.
Ich wohne in der {street}.
Bitte liefern Sie an: {full}, {address}
Anschrift: {address}
{full}\\n{lines}
PLZ {postcode}
{postcode} {city}
meine Postleitzahl ist {postcode}
Postfach {number}, {postcode} {city}
Unser Büro in {city} ist geschlossen.
Die Züge von {city} nach {city} fallen aus.
Das Wetter in {country} ist schön.
{full} arbeitet bei {firm}.
Die {firm} hat neue Mitarbeiter eingestellt.
Der Hund liegt auf dem Sofa und schläft.
Die Sitzung findet am Montag im großen Saal statt.
Bitte schicken Sie mir die Rechnung und den Vertrag.
Wie koche ich eine Suppe mit Kartoffeln und Möhren?
Das Auto steht in der Werkstatt, die Bremse ist kaputt.
Schreibe ein Gedicht über den Herbst und die Blätter.
Die Regierung plant eine Reform der Steuern für Familien.
Die Bestellung mit der Nummer {number} ist noch nicht da.
Guten Tag, ich habe eine Frage zu meinem Konto.
Sehr geehrte Damen und Herren,
Kapitel {number}: Einleitung
Im {year} stieg die Zahl der Arbeitslosen um {number} Prozent.
Ich hätte gerne {number} Brötchen und einen Kaffee.
Was ist der Unterschied zwischen Umsatz und Gewinn?
Fasse den Text in {number} Sätzen zusammen.
Der Zug fährt um {number} Uhr von Gleis {number}.
Die Straße war leer und der Platz auch.
Vielen Dank für Ihre Hilfe und einen schönen Tag!
Am {date} beginnt der Kurs, Anmeldung bis Freitag.
Die Wohnung hat {number} Zimmer, Küche, Bad und Balkon.
Meine Mutter hat Geburtstag, was kann ich ihr schenken?
Welche Hauptstadt hat {country}?`.split('\n'),
  fr: `Je m'appelle {person}.
Mon nom est {full} et j'habite à {city}.
Bonjour {given}, tu es libre demain ?
Chère {given},
Monsieur {family},
Madame {family} vous rappellera.
Cordialement,\\n{full}
M. {full} est né à {city}.
Qui est {full} ?
{given} et {given} sont partis à {city}.
j'ai parlé avec {given} hier
Le patient {full}, né le {date}
Mon adresse est {address}.
J'habite au {street}.
Veuillez livrer à {full}, {address}
Adresse : {address}
{full}\\n{lines}
code postal {postcode}
{postcode} {city}
BP {number}, {postcode} {city}
Notre bureau de {city} est fermé.
Quelle est la capitale de {country} ?
{full} travaille chez {firm}.
Le chat dort sur le canapé.
La réunion aura lieu lundi à {number} heures.
Bonjour, j'ai une question sur mon compte.
Madame, Monsieur,
Écris un poème sur l'automne.
Comment faire une soupe aux légumes ?
Ma commande numéro {number} n'est pas arrivée.
Le Conseil a adopté la loi en {year}.
Chapitre {number} : Introduction
Résume ce texte en {number} phrases.
Merci beaucoup pour votre aide !
Il y a {number} personnes dans la rue.
Le train part à {number} h du quai {number}.`.split('\n'),
  es: `Me llamo {person}.
Mi nombre es {full} y vivo en {city}.
Hola {given}, ¿cómo estás?
Estimado señor {family}:
Querida {given},
Atentamente,\\n{full}
La señora {family} llamó ayer.
¿Quién es {full}?
{given} y {given} viajaron a {city}.
hablé con {given} y me dijo que sí
El paciente {full}, nacido el {date}
Mi dirección es {address}.
Vivo en {street}.
Envíelo a {full}, {address}
Dirección: {address}
{full}\\n{lines}
código postal {postcode}
{postcode} {city}
La oficina de {city} está cerrada.
¿Cuál es la capital de {country}?
{full} trabaja en {firm}.
El gato duerme en el sofá.
La reunión es el lunes a las {number}.
Hola, tengo una pregunta sobre mi cuenta.
Escribe un poema sobre el otoño.
¿Cómo hago una sopa de verduras?
Mi pedido número {number} no ha llegado.
El Congreso aprobó la ley en {year}.
Capítulo {number}: Introducción
Resume este texto en {number} frases.
¡Muchas gracias por su ayuda!
Hay {number} personas en la calle.`.split('\n'),
  it: `Mi chiamo {person}.
Il mio nome è {full} e abito a {city}.
Ciao {given}, come stai?
Gentile signor {family},
Cara {given},
Cordiali saluti,\\n{full}
La signora {family} ha chiamato ieri.
Chi è {full}?
{given} e {given} sono andati a {city}.
ho parlato con {given} ieri sera
Il mio indirizzo è {address}.
Abito in {street}.
Spedire a {full}, {address}
Indirizzo: {address}
{full}\\n{lines}
CAP {postcode}
{postcode} {city}
L'ufficio di {city} è chiuso.
Qual è la capitale di {country}?
{full} lavora per {firm}.
Il gatto dorme sul divano.
La riunione è lunedì alle {number}.
Buongiorno, ho una domanda sul mio conto.
Scrivi una poesia sull'autunno.
Come si fa una zuppa di verdure?
Il mio ordine numero {number} non è arrivato.
Il Parlamento ha approvato la legge nel {year}.
Capitolo {number}: Introduzione
Grazie mille per il vostro aiuto!
Ci sono {number} persone in strada.`.split('\n'),
  pt: `Meu nome é {person}.
Chamo-me {full} e moro em {city}.
Olá {given}, tudo bem?
Prezado senhor {family},
Querida {given},
Atenciosamente,\\n{full}
A senhora {family} ligou ontem.
Quem é {full}?
{given} e {given} foram para {city}.
falei com o {given} ontem
Meu endereço é {address}.
Moro na {street}.
Entregar para {full}, {address}
Endereço: {address}
{full}\\n{lines}
CEP {postcode}
{postcode} {city}
O escritório de {city} está fechado.
Qual é a capital de {country}?
{full} trabalha na {firm}.
O gato dorme no sofá.
A reunião é na segunda às {number}.
Bom dia, tenho uma pergunta sobre a minha conta.
Escreva um poema sobre o outono.
Como faço uma sopa de legumes?
Meu pedido número {number} não chegou.
O Congresso aprovou a lei em {year}.
Capítulo {number}: Introdução
Muito obrigado pela ajuda!
Há {number} pessoas na rua.`.split('\n'),
  nl: `Mijn naam is {person}.
Ik heet {full} en woon in {city}.
Hoi {given}, heb je morgen tijd?
Beste {given},
Geachte heer {family},
Met vriendelijke groet,\\n{full}
Mevrouw {family} heeft gisteren gebeld.
Wie is {full}?
{given} en {given} gaan naar {city}.
ik heb met {given} gesproken
Mijn adres is {address}.
Ik woon aan de {street}.
Stuur het naar {full}, {address}
Adres: {address}
{full}\\n{lines}
postcode {postcode}
{postcode} {city}
Ons kantoor in {city} is gesloten.
Wat is de hoofdstad van {country}?
{full} werkt bij {firm}.
De kat slaapt op de bank.
De vergadering is maandag om {number} uur.
Hallo, ik heb een vraag over mijn rekening.
Schrijf een gedicht over de herfst.
Hoe maak ik een groentesoep?
Mijn bestelling nummer {number} is niet aangekomen.
De Tweede Kamer nam de wet in {year} aan.
Hoofdstuk {number}: Inleiding
Hartelijk dank voor uw hulp!
Er zijn {number} mensen op straat.`.split('\n'),
};
