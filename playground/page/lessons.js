export async function openLessons() {}
export function redrawLesson() {}
