/**
 * Training texts in the project's own words: sentences that say a person, a place or an address. A slot in braces is
 * filled by train/written.ts; its name says the type of what stands there, if any. What says none of them is in
 * train/templates-nothing.ts. No text is taken from a data set.
 */

export const PEOPLE_EN: readonly string[] = `My name is {person}.
my name is {person} and I live in {city}
Hi, I'm {person}, nice to meet you.
hey this is {given}, can you call me back?
This is {person} from {firm}.
I am {person}, the new {job}.
You can call me {given}.
Please ask for {person} at the front desk.
Dear {person},
Dear {title} {family},
Hello {given},
Hi {given}!
Hey {given}, are you around?
Thanks, {given}
Best regards,\\n{full}
Kind regards,\\n{full}\\n{job}\\n{firm}
Sincerely,\\n\\n{full}
Cheers\\n{given}
From: {full} <{mail}>
To: {full}
Patient: {full}, born {date}
Name: {full}
First name: {given}
Last name: {family}
full name: {full}
Customer: {full} ({number})
Passenger {full}, seat {number}A
Account holder {full}
Signed by {full} on {date}.
Written by {full}
Photo by {full}
by {full}, {firm}
{person} said that the meeting was moved to {day}.
{person} told {person} about the accident.
{full} and {full} were married in {city} in {month}.
{full}, {number}, was arrested in {city} on {day}.
{full} has joined {firm} as {job}.
According to {full}, the plan is too expensive.
"We are very happy," said {full}, {job} of {firm}.
"I can't believe it," {given} shouted.
{title} {family} will see you now.
{title} {full} from the {firm} called.
Is {given} coming to the party on {day}?
Did {given} send you the file?
I talked to {given} yesterday and {given} agreed.
tell {given} i said hi
can you ask {given} if she has the keys
lol {given} is so funny
omg i love {given} so much
I miss {given} :(
Happy birthday {given}!!!
RIP {full}, you will be missed
who else thinks {full} is overrated
{full} is the best player on the team
just saw {full} at the airport
that {full} interview was hilarious
watching {full} tonight with {given}
So {given} and {given} broke up again
{given}'s dog ate my shoes.
{given} 's new song is amazing
I went to school with {given}'s brother {given}.
My husband {given} and I need a new card.
My wife's name is {full}.
our daughter {given} is {number} years old
My doctor, {title} {family}, changed the dose.
The contract is between {full} and {firm}.
The tenant, {full}, shall pay the rent to {full}.
Please add {full} to my account as a second holder.
Change the name on the booking from {full} to {full}.
I want to send {money} to {full}
Transfer {money} to {full}, IBAN follows.
I'd like to report that {full} used my card.
Can you write a birthday card for my friend {given}?
Write a short email to {full} about the invoice.
Write a story about a girl named {given} who finds a dragon.
Tell me a joke about {given} and {given}.
Who is {full}?
who was {full} and why is he famous
When did {full} die?
Was {full} a member of the party in {year}?
What did {full} write before {year}?
The book "{thing}" by {full} was published in {year}.
{full} ( born {date} ) is a retired footballer who played for {firm}.
{full} was an American politician and lawyer from {region}.
{full} (born in {city}, {country}) was a painter and {job}.
In {year} {full} moved to {city} where she met {full}.
The film stars {full}, {full} and {full}.
He was succeeded by {full}.
The song was written by {full} and {full}.
She was named after her grandmother {given}.
They named him {given}.
Everyone calls her {given}.
His friends {given}, {given} and {given} came along.
Attendees: {full}, {full}, {full}
1. {full}\\n2. {full}\\n3. {full}
- {full} ({job})\\n- {full} ({job})
Name,Age,City\\n{given},{number},{city}\\n{given},{number},{city}
{given},{number}\\n{given},{number}
names.add("{given}");
["{given}", "{given}", "{given}"]
{"{given}": {number}, "{given}": {number}}
{ name: '{full}', age: {number} }
{full} {mail} {number}
{"name": "{full}", "age": {number}}
"customer": {"first": "{given}", "last": "{family}"}
name={full}
<author>{full}</author>
Reviewed-by: {full} <{mail}>
Assigned to {given} {family}
{given}: see you at {number}?\\n{given}: ok
{given}: did you get it?
[{number}:{number}] {given}: on my way
ask {full} in accounting
{full} called about order {number}.
please tell {title} {family} that the meeting is at {number}
MR {FULL}
{FULL} SAID NO
PASSENGER: {FULL}
Speak to {given} or {given} in sales.
Meet {full}, our {job} in {city}.
{given} from {city} writes: is it too late to plant tomatoes?
I'm meeting {given} at {firm} at noon.
thank you {given} for your help!
good morning {given}, how are you
sorry {given}, I forgot
@{handle} thanks to {full} for the tickets
RT @{handle}: {full} live at {firm} tonight {url}
shoutout to {full} #{tag}
My boss {given} won't give me the day off
my ex {given} keeps texting me
Ms. {family}'s class was cancelled.
President {family} met Prime Minister {family} in {city}.
Senator {family} voted against the bill.
Judge {full} ruled on {day}.
Coach {family} praised {given} after the game.
Uncle {given} and aunt {given} will pick you up
king {given} of {country}
Professor {full} of {firm} disagrees.
Officer {family} filed the report on {date}.
The email came from {full} in {country}.
On behalf of {full}, I would like to cancel policy {number}.
I, {full}, hereby declare that the above is true.
It's under the name {full}.
The reservation is under {family}.
maybe it is under my partner's name, {full}
Do you know {given}'s number?
In memory of {full} ({year} - {year})
{full}'s theory of {noun}
{given} is a very patient person.
{given} is {number} and has diabetes.
{full} lives at {address}.
{full} grew up in {city} and studied in {country}.
{full} will talk about {noun} at the conference
I have a question for {given}.
What would {full} do?
Why is {given} always late?
Is {full} married?
How old is {full}?`.split('\n');

export const PLACES_EN: readonly string[] = `I'm originally from {city}.
we moved to {city} in {year}
My friend lives in {country}
She is from {city}, {country}.
The weather in {city} is awful today.
Flights from {city} to {city} on {day}
How far is {city} from {city}?
What is the capital of {country}?
population of {country} in {year}
Is it safe to travel to {country} now?
The border between {country} and {country} was closed.
A court in {city} fined {firm} on {day}.
{city}, {month} {number} (agency) - prices rose again
{city} beat {city} {number}-{number}
Our office in {city} is closed on {day}.
Best restaurants in {city}?
can't wait to be back in {city}
traffic in {city} is terrible
greetings from {city}!
I am in {city} for a business trip
Born in {city}, {region}, he studied law.
The {city} branch opens in {month}.
The town lies north of {city}, in the region of {region}.
Where: {city}
City: {city}
Country: {country}
"city": "{city}", "country": "{country}"
place of birth {city}
Ship to: {country}
He won the {city} marathon in {year}.
People in {region} voted on {day}.
Police in {city} are looking for a man.
The river flows through {city} and {city}.
I studied in {city} and worked in {city} and {city}.
#{tag} live from {city} tonight
we should visit {country} this summer
{country} exports coffee to {country}
What language do they speak in {country}?
{city} is a city in {country}.
{city} was founded in {year}.
the {country} national team lost`.split('\n');

export const ADDRESSES_EN: readonly string[] = `My address is {address}.
my new address is {address}
I live at {address}.
I moved to {street}, please update it
Please send it to {address}
Send the card to {full}, {address}.
Ship to:\\n{full}\\n{lines}
{full}\\n{lines}
{full}\\n{firm}\\n{lines}\\n{phone}
Billing address: {address}
Delivery address\\n{lines}
Address: {address}
address: {street}
"street": "{street}", "city": "{city}", "zip": "{postcode}"
Street: {street}\\nCity: {city}\\nZIP: {postcode}
The office is at {address}.
The shop at {street} closes at {number}.
Meet me at {street} at {number} pm
pick me up at {street}
taxi to {street} please
The house at {street} was sold for {money}.
Fire at {street} in {city}
Our address has changed from {street} to {street}.
I need a taxi from {street} to {street}.
He was last seen near {streetname}.
turn left into {streetname}
The parade goes down {streetname} and {streetname}.
My zip code is {postcode}
zip: {postcode}
postcode {postcode}
What's the postal code? It's {postcode}.
Is {postcode} the right zip code?
ZIP {postcode}
{city}, {postcode}
{city} {postcode}
{postcode} {city}
I live in {dwelling}
It's {dwelling}, third floor
{dwelling}, {street}
{street}\\n{dwelling}\\n{city} {postcode}
{number} {street}\\n{dwelling}
Please deliver to {dwelling}, the bell is broken
the package went to {dwelling} instead of {dwelling}
P.O. Box {number}, {city}
PO Box {pobox}
Our postal address is {pobox}, {city} {postcode}
Return to {pobox}
Registered office: {address}
{firm}, {address}
{firm}\\n{lines}
Patient {full}, {address}, born {date}
{full} lives at {street}, {city}
{full} lives on {streetname} in {city}
The accident happened on {streetname} near {city}.
She gave me her address: {address}
How do I get from {street} to the airport?
Is there parking at {address}?
bring it to {street} tomorrow
contact: {full}, {street}, {postcode} {city}, tel {phone}
I want to change my address to {address}
The letter arrived at {address} last week.
The property known as {address} is leased to {full}.
send flowers to {given}, {street}
my grandmother lives at {street}, {city}
here are my addresses: {address} and {address}
Venue: {firm}, {street}, {city}
Where: {street}`.split('\n');
