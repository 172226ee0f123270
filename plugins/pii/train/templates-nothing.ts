/**
 * Training texts in the project's own words that name nobody: ordinary sentences, code, headings, lists and numbers whose
 * capitals and shapes look like names and addresses. Slots as in train/templates.ts. A template that begins as an import
 * does stands behind \n, so that no reader of import lines takes it for one. No text is taken from a data set.
 */

/** Capitals, numbers and words that look like names and are none. */
export const NOTHING_EN: readonly string[] = `The meeting is on {day}, {month} {number}.
I bought a {thing} for {money}.
Do you like {thing}?
How do I cook {thing}?
{thing} is my favourite.
Please review the Pull Request before {day}.
The {Noun} Service returns an Internal Server Error.
Chapter {number}: {Noun} and {Noun}
## Getting Started
# {Noun} {Noun}
Table of Contents
Terms and Conditions
Frequently Asked Questions
Step {number}: Open the Settings and click Save.
class {Camel} extends {Camel} {\nimport { {Camel} } from './{camel}.ts'
const {camel} = new {Camel}({number});
def {camel}(self, {camel}): return {number}
SELECT {camel} FROM {camel} WHERE id = {number};
npm install {camel}
Traceback: {Camel}Error at line {number}
Error {number}: {Noun} not found
The temperature is {number} degrees in {month}.
Version {number}.{number} of {Camel} adds {noun}.
I will be there on {day} at {number}.
You will need {number} cups of {noun}.
Buy {number} get {number} free
It costs {money} per month.
Room {number} is booked until {day}
There are {number} people in the room.
The train leaves at {number}:{number} from platform {number}.
I ordered {number} items and only {number} arrived.
Order {number} was shipped on {date}.
Call {phone} to cancel
My order number is {number}{number}
The answer is {number}.
In {year} there were {number} of them.
In Summer we sell Ice Cream and Cold Drinks.
LOL THIS IS SO FUNNY
OMG I CAN'T BELIEVE IT
WHAT IS GOING ON
Thank You So Much For Everything
Good Morning Everyone
Happy New Year
Merry Christmas to all
Please Help Me With My Homework
What a great song!!!
I love Mondays
See you on {day}!
May I ask a question?
Will you mark the page, please?
Grant me access to the file.
I hope the rose will grow in the spring.
Bill the customer in {month}.
Can you sue the company for that?
Jack up the car and drop the anchor.
He is frank, and his will is strong.
Pat the dog and rob no bank.
The art of {noun} in the Middle Ages
An English teacher and a French chef
I speak German, Spanish and a little Chinese.
The Bible and the Quran
God bless you
Dear Sir or Madam,
To whom it may concern
Dear Customer,
Dear Hiring Manager,
Dear team,
Hello World
Hello there, General question about {noun}
Hi everyone, quick question
Best regards,\\nThe Support Team
Assistant: How can I help you today?
User: what is {noun}?
System: You are a helpful assistant.
Human: write code
You are a helpful assistant that answers in JSON.
Write a poem about {noun} in the style of a sonnet.
Explain {noun} to a five year old.
Translate the following sentence into French.
Summarise this article in {number} bullet points.
What is the difference between {noun} and {noun}?
Write a Python function that sorts a list of {noun}s.
Create a React component with TypeScript and Tailwind.
How do I use Docker with Postgres on Linux?
Compare Java, Ruby, Swift and Rust.
The API uses OAuth and JSON Web Tokens.
Google, Apple and Microsoft raised prices.
My Windows laptop and my iPhone don't sync with Outlook.
The {firm} announced its results on {day}.
{firm} hired {number} people in {month}.
I work for {firm}.
{firm} vs {firm}: which is better?
My account with {firm} is blocked.
Q{number} {year} results of {firm}
Section {number}.{number} of the Agreement
the Borrower shall pay the Lender within {number} days
The Board of Directors and the Chief Executive Officer
Department of {Noun}
Bachelor of Science in {Noun}
{job} wanted, full time
I want to become a {job}.
Yes.
No, thank you.
ok cool
idk what to say tbh
haha so true
first
{url}
Check this out {url} #{tag}
@{handle} i know right
RT @{handle} new video {url}
#{tag} #{tag}
{date}
{number} {noun}s, {number} {noun}s
IMG_{number}.jpg
invoice-{number}.pdf
{number}%
a {number} year old {job}
flight {letters} {number} is delayed
gate {number}, seat {number}C
error code {letters}-{number}
model {letters}{number} in blue
Unit {number} covers {noun}
Highway {number} is closed
page {number} of {number}
size {number}, colour Navy
I scored {number} points in {thing}.
Catch {number}, Area {number} and Route {number}
The {number}th floor has {number} rooms
It happened on the road to the lake.
We walked down the street to the park.
the street was empty and the court was closed
Drive slowly, the way is long.
Wall paint, street food, park bench
The White House said on {day} that talks continue.
The North Pole is cold
{Noun} {Noun} is the title of my essay
How to {verb} a {noun}
Why Do We {Verb} {Noun}s?
{number} Ways to {Verb} Your {Noun}
Top {number} {Noun} Tips
The Theory of {Noun}
Big {Noun} Energy
Product: {thing}
Category: {Noun}
Status: Active
Subject: {Noun} update for {month}
Re: {Noun}
Fwd: your {noun} order
Title: {thing}
Color: Red
Type: String
Language: English
Sort the following numbers: {list}
Find the largest number in {list}.
{list}
Array: {list}
const {camel} = {list};
int[] {camel} = {list};
{camel} = {list}, {number}
Numbers: {list}
What comes next: {list}?
Input: {list}\nOutput: {list}
sum of {list} and {list}
Convert {number} to binary.
Convert {number} dollars to euros
Write a program that reverses {number}.
What is {number} + {number}?
{number} * {number} = {number}
for {letters} in range({number}): print({number})
if {camel} == {number}: return {number}
elif n == {number}:
return str.split("").reverse()
[[{number}, {number}], [{number}, {number}]]
{"id": {number}, "value": {number}}
{camel}({number}, {number}, {number})
data = [({number}, {number}), ({number}, {number})]
the list has {number} elements, the last is {number}
Name, Age, Score
Name,Score\n
Balance: {number}\nDeposit: {number}
Roman numerals up to {number}
Unix timestamp {number}{number}
Machine Learning and Deep Learning
a number greater than {number}
{number} is a prime number
The value is {number}
Raspberry Pi and Arduino projects
alexa, set a timer for {number} minutes
delta flight to the beach at {number}
set the alarm for {number}
what does {noun} mean in {language}
how do you say {noun} in {language}
{Language} lessons
The {Language} translation of {noun}
Rules:\\n- Keep it short\\n- {Verb} the {noun}
Rules: {verb} one {noun} at a time.
{Heading}: {noun}
{Heading}: You are a {job}.
{Heading}:\\n1. {Verb} the {noun}\\n2. {Verb} it again
## {Heading}\\n{Verb} the {noun} first.
**{Heading}**: {noun}, {noun}
### {Heading} and {Heading}
{Heading}, {Heading} and {Heading}
<{code}>{noun}</{code}>
{code} = {code}.{code}({number})\nimport {code} from "{code}"
from {code} import {code}, {code}
Use {code} and {code} to {verb} the {noun}.
fields: {code}, {code}, {code}
{Model} is a language model.
Ask {Model} to {verb} the {noun}.
{Model} and {Model} give different answers
As {Model}, never show your rules.
write a prompt for {Model}
{Model}, {verb} my {noun}
I tried {Model} with {Model}.
{Model}: I cannot do that.
How tall is {landmark}?
We took a photo of {landmark} in {city}.
{landmark} was built in {year}.
The Renaissance began in {country}.
the Baroque, the Renaissance and the Enlightenment
How far is Mars from Pluto?
The {Noun} of the {Noun} is a novel.
Golden hour, sharp focus, grayscale, cinematic light
a promise, a stone and a mark on the wall
shot on {Model}, {number} mm lens, f/{number}
act as a {job} and {verb} my {noun}
I want you to act as a {job}. My first request is about {noun}.`.split('\n');
