/**
 * Languages told: sentences of each, in each length; and what is not told with confidence: short, mixed or technical text,
 * and languages that look like one of the list.
 */
import t from 'tap';
import { LANGUAGE_CHARS_MAX, languageOf } from '../../src/text/language.ts';

/** From which on a classifier is left out that does not know the language. */
const SURE = 0.8;

const SENTENCES: Readonly<Record<string, readonly string[]>> = {
  en: [
    'What is the best way to keep tomatoes fresh when it is hot in the kitchen?',
    'Please write a short letter to my landlord and tell him that the window does not close.',
    'They said that this would be the last train, but there is one more for you.',
  ],
  de: [
    'Bitte schreibe mir eine kurze Mail an die Nachbarn, dass wir am Samstag nicht zu Hause sind.',
    'Wie lange muss der Teig im Kühlschrank ruhen, und was mache ich, wenn er nicht aufgeht?',
    'Das ist nicht der Weg, den wir mit den Kindern gehen, aber er ist auch schön.',
  ],
  es: [
    '¿Cómo puedo llegar a la estación de tren más cercana sin pasar por el centro de la ciudad?',
    'Escribe una carta para mi vecina y dile que no está la llave en la puerta.',
    'El libro que me prestó mi hermana es muy bueno, pero no lo he leído del todo.',
  ],
  fr: [
    'Peux-tu écrire une lettre à ma voisine pour lui dire que je ne suis pas là dans la matinée ?',
    'Le train qui part de la gare est plus lent que celui du soir, mais il est moins cher.',
    'Comment faire une tarte aux pommes pour des amis qui ne mangent pas de beurre ?',
  ],
  pt: [
    'Você pode me dizer onde fica a estação e qual é o melhor caminho para não me perder?',
    'Escreva uma carta para o meu vizinho e diga que não estou em casa pela manhã.',
    'O livro que ela me deu é muito bom, mas ainda não o li até o fim.',
  ],
  it: [
    'Puoi scrivere una lettera alla mia vicina e dirle che non sono a casa questa mattina?',
    'Il treno che parte dalla stazione è più lento di quello della sera, ma anche meno caro.',
    'Come si fa la torta di mele per gli amici che non mangiano il burro?',
  ],
  nl: [
    'Kun je een brief schrijven aan mijn buren en zeggen dat we er op zaterdag niet zijn?',
    'De trein die om acht uur gaat is niet zo snel als die van de avond, maar wel goedkoper.',
    'Hoe maak ik een appeltaart voor vrienden die geen boter eten, en wat kan ik dan nemen?',
  ],
  zh: ['请帮我写一封信给邻居，说我们星期六不在家。', '怎样做苹果派才不会太甜？'],
  ja: ['隣の人に、土曜日は留守にすると手紙を書いてください。', 'りんごのパイを甘くしすぎないコツは何ですか。'],
  ko: ['이웃에게 토요일에는 집에 없다고 편지를 써 주세요.', '사과 파이를 너무 달지 않게 만들려면 어떻게 하나요?'],
  ar: ['من فضلك اكتب رسالة إلى جاري وأخبره أننا لسنا في البيت يوم السبت.', 'كيف أصنع فطيرة تفاح ليست حلوة جدا؟'],
  fa: ['لطفاً نامه‌ای به همسایه‌ام بنویس و بگو که شنبه خانه نیستیم.', 'چگونه کیک سیب درست کنم که زیاد شیرین نباشد؟'],
  he: ['אנא כתבו מכתב לשכן ואמרו לו שביום שבת לא נהיה בבית.', 'איך מכינים עוגת תפוחים שאיננה מתוקה מדי?'],
  hi: ['कृपया पड़ोसी को एक पत्र लिखिए कि शनिवार को हम घर पर नहीं हैं।', 'सेब का केक कैसे बनाएँ कि वह बहुत मीठा न हो और सबको अच्छा लगे?'],
  ru: ['Пожалуйста, напиши соседу письмо, что в субботу мы будем не дома, а на даче, и вернёмся вечером.', 'Как испечь яблочный пирог, чтобы он был не слишком сладкий?'],
  el: ['Γράψε, σε παρακαλώ, ένα γράμμα στον γείτονα ότι το Σάββατο δεν θα είμαστε σπίτι.'],
  th: ['ช่วยเขียนจดหมายถึงเพื่อนบ้านว่าวันเสาร์เราไม่อยู่บ้าน'],
};

t.test('a language is told by a paragraph with confidence, and by a sentence not wrongly', async (t) => {
  for (const [tag, sentences] of Object.entries(SENTENCES)) {
    const all = sentences.join(' ');
    const whole = languageOf(all);
    t.equal(whole.tag, tag, all);
    t.ok(whole.confidence >= SURE && whole.confidence < 1, `${tag}: ${whole.confidence}`);
    for (const sentence of sentences) t.ok(languageOf(sentence).tag === tag || languageOf(sentence).confidence < SURE, `${sentence}: ${JSON.stringify(languageOf(sentence))}`);
    t.same(languageOf(all.toUpperCase()).tag, tag, 'in capitals');
  }
});

t.test('what is short, mixed or no language is not told', async (t) => {
  for (const text of ['', '12 345', '!?', 'x', 'Hello', 'ok thanks', 'https://example.com/a/b', 'SELECT a FROM b WHERE c = 1;', 'const add = (a, b) => a + b;', '0x1F 0b10 u8', '😀😀', 'Привет, как дела?', 'Berlin Paris Madrid Roma Lisboa Amsterdam']) {
    t.ok(languageOf(text).confidence < SURE, `${text}: ${JSON.stringify(languageOf(text))}`);
  }
  const mixed = languageOf('Привет, мир и все остальные люди. Hello world and all the other people. שלום לעולם ולכל האנשים. 你好世界和所有人。');
  t.same(mixed, { tag: 'und', confidence: 0 });
});

t.test('languages that are not on the list are not taken for one with confidence', async (t) => {
  const others = [
    'Czy możesz napisać list do sąsiada, że w sobotę nie będzie nas w domu?', 'Můžeš napsat sousedovi dopis, že v sobotu nebudeme doma?',
    'Kan du skriva ett brev till grannen och säga att vi inte är hemma på lördag?', 'Kan du skrive et brev til naboen om at vi ikke er hjemme på lørdag?',
    'Voisitko kirjoittaa naapurille kirjeen, että emme ole lauantaina kotona?', 'Tudnál írni egy levelet a szomszédnak, hogy szombaton nem leszünk otthon?',
    'Komşuya cumartesi evde olmadığımızı anlatan bir mektup yazar mısın?', 'Bạn có thể viết thư cho hàng xóm rằng thứ bảy chúng tôi không có nhà không?',
    'Poți să scrii o scrisoare vecinului că sâmbătă nu suntem acasă?', 'Pots escriure una carta al veí i dir-li que dissabte no hi som?',
    'Напиши, будь ласка, сусідові листа, що в суботу нас не буде вдома.', 'Моля те, напиши писмо на съседа, че в събота няма да сме у дома и ще се върнем вечерта.',
    'Молим те, напиши комшији писмо да у суботу нећемо бити код куће.', 'براہ کرم پڑوسی کو خط لکھیں کہ ہم ہفتے کو گھر پر نہیں ہیں۔',
    'कृपया शेजाऱ्याला पत्र लिहा की शनिवारी आम्ही घरी नाही आहे.', 'דער שכן וועט נישט זײַן אין דער היים שבת.', 'Tolong tulis surat untuk tetangga bahwa hari Sabtu kami tidak ada di rumah.',
  ];
  for (const text of others) t.ok(languageOf(text).confidence < SURE, `${text}: ${JSON.stringify(languageOf(text))}`);
});

t.test('a long text is told by its beginning, middle and end', async (t) => {
  const english = SENTENCES.en.join(' ');
  t.equal(languageOf(`${english} `.repeat(10_000)).tag, 'en');
  const numbers = '0123456789 '.repeat(LANGUAGE_CHARS_MAX);
  t.equal(languageOf(numbers + english.repeat(3) + numbers).tag, 'en', 'in the middle');
  const exact = english.repeat(10).slice(0, LANGUAGE_CHARS_MAX);
  t.same(languageOf(exact), languageOf(` ${exact.slice(1)}`));
  t.ok(languageOf(`${exact} ${'Отрывок по-русски, который ничего не меняет. '.repeat(12)}`).confidence < SURE, 'one third of it is another');
});
